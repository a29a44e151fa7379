package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/qdrant/go-client/qdrant"
)

type record struct {
	ID      json.RawMessage            `json:"id"`
	Vector  map[string]json.RawMessage `json:"vector"`
	Payload map[string]any             `json:"payload"`
}

// pointsOf reads the points of a collection from its file.
func pointsOf(folder, name string) []*qdrant.PointStruct {
	var body struct {
		Points []record `json:"points"`
	}
	text, err := os.ReadFile(filepath.Join(folder, name+".json"))
	must(err)
	must(json.Unmarshal(text, &body))
	points := make([]*qdrant.PointStruct, 0, len(body.Points))
	for _, each := range body.Points {
		vectors := make(map[string]*qdrant.Vector, len(each.Vector))
		for vectorName, raw := range each.Vector {
			vectors[vectorName] = vector(vectorName, raw)
		}
		points = append(points, &qdrant.PointStruct{
			Id:      pointID(each.ID),
			Vectors: qdrant.NewVectorsMap(vectors),
			Payload: qdrant.NewValueMap(each.Payload),
		})
	}
	return points
}

func pointID(raw json.RawMessage) *qdrant.PointId {
	var number uint64
	if json.Unmarshal(raw, &number) == nil {
		return qdrant.NewIDNum(number)
	}
	var uuid string
	must(json.Unmarshal(raw, &uuid))
	return qdrant.NewID(uuid)
}

func vector(name string, raw json.RawMessage) *qdrant.Vector {
	switch name {
	case "sparse":
		var sparse struct {
			Indices []uint32  `json:"indices"`
			Values  []float32 `json:"values"`
		}
		must(json.Unmarshal(raw, &sparse))
		return qdrant.NewVectorSparse(sparse.Indices, sparse.Values)
	case "colbert":
		var rows [][]float32
		must(json.Unmarshal(raw, &rows))
		return qdrant.NewVectorMulti(rows)
	default:
		var values []float32
		must(json.Unmarshal(raw, &values))
		return qdrant.NewVectorDense(values)
	}
}
