package main

import (
	"context"

	"github.com/qdrant/go-client/qdrant"
)

func dense(size uint64, distance qdrant.Distance) *qdrant.VectorParams {
	return &qdrant.VectorParams{Size: size, Distance: distance}
}

func bytes() *qdrant.VectorParams {
	return &qdrant.VectorParams{Size: 4, Distance: qdrant.Distance_Dot, Datatype: qdrant.Datatype_Uint8.Enum()}
}

func tokens() *qdrant.VectorParams {
	return &qdrant.VectorParams{
		Size:              2,
		Distance:          qdrant.Distance_Dot,
		MultivectorConfig: &qdrant.MultiVectorConfig{Comparator: qdrant.MultiVectorComparator_MaxSim},
	}
}

// createAll makes the three collections anew and fills them.
func createAll(ctx context.Context, client *qdrant.Client, folder string) {
	requests := []*qdrant.CreateCollection{
		{
			CollectionName: "another_collection",
			VectorsConfig: qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{
				"image-512": dense(512, qdrant.Distance_Dot),
				"thumbnail": dense(3, qdrant.Distance_Dot),
			}),
		},
		{
			CollectionName: "articles",
			VectorsConfig: qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{
				"":            dense(3, qdrant.Distance_Dot),
				"dense":       dense(3, qdrant.Distance_Cosine),
				"full":        dense(4, qdrant.Distance_Dot),
				"mrl_byte":    bytes(),
				"colbert":     tokens(),
				"512d-vector": dense(512, qdrant.Distance_Dot),
			}),
			SparseVectorsConfig: qdrant.NewSparseVectorsConfig(map[string]*qdrant.SparseVectorParams{"sparse": {}}),
		},
		{
			CollectionName: "stages",
			VectorsConfig: qdrant.NewVectorsConfigMap(map[string]*qdrant.VectorParams{
				"":         dense(4, qdrant.Distance_Dot),
				"full":     dense(3, qdrant.Distance_Dot),
				"mrl_byte": bytes(),
				"colbert":  tokens(),
			}),
		},
	}
	for _, request := range requests {
		name := request.CollectionName
		exists, err := client.CollectionExists(ctx, name)
		must(err)
		if exists {
			must(client.DeleteCollection(ctx, name))
		}
		must(client.CreateCollection(ctx, request))
		_, err = client.Upsert(ctx, &qdrant.UpsertPoints{
			CollectionName: name,
			Points:         pointsOf(folder, name),
			Wait:           qdrant.PtrOf(true),
		})
		must(err)
	}
	_, err := client.CreateFieldIndex(ctx, &qdrant.CreateFieldIndexCollection{
		CollectionName: "articles",
		FieldName:      "price",
		FieldType:      qdrant.FieldType_FieldTypeInteger.Enum(),
		Wait:           qdrant.PtrOf(true),
	})
	must(err)
}
