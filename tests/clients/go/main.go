// Every example through the Go client: `examples PORT FOLDER`.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/qdrant/go-client/qdrant"
)

const known = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04"

type example struct {
	name  string
	query *qdrant.QueryPoints
}

func main() {
	port, err := strconv.Atoi(os.Args[1])
	must(err)
	client, err := qdrant.NewClient(&qdrant.Config{Host: "localhost", Port: port})
	must(err)
	defer client.Close()
	ctx := context.Background()
	createAll(ctx, client, os.Args[2])
	for _, each := range examples() {
		hits, err := client.Query(ctx, each.query)
		show(each.name, "hits", pairs(hits), err)
	}
	groups, err := client.QueryGroups(ctx, &qdrant.QueryPointGroups{
		CollectionName: "articles",
		Query:          qdrant.NewQuery(0.01, 0.45, 0.67),
		GroupBy:        "document_id",
		GroupSize:      qdrant.PtrOf(uint64(2)),
	})
	shown := [][]any{}
	for _, group := range groups {
		shown = append(shown, []any{group.Id.GetStringValue(), pairs(group.Hits)})
	}
	show("groups", "groups", shown, err)
}

func sparseAndDense() []*qdrant.PrefetchQuery {
	return []*qdrant.PrefetchQuery{
		{
			Query: qdrant.NewQuerySparse([]uint32{1, 42}, []float32{0.22, 0.8}),
			Using: qdrant.PtrOf("sparse"),
		},
		{
			Query: qdrant.NewQueryDense([]float32{0.01, 0.45, 0.67}),
			Using: qdrant.PtrOf("dense"),
		},
	}
}

func candidates() []*qdrant.PrefetchQuery {
	return []*qdrant.PrefetchQuery{{
		Query: qdrant.NewQueryDense([]float32{1, 23, 45, 67}),
		Using: qdrant.PtrOf("mrl_byte"),
		Limit: qdrant.PtrOf(uint64(1000)),
	}}
}

func tokenQuery() *qdrant.Query {
	return qdrant.NewQueryMulti([][]float32{{0.1, 0.2}, {0.2, 0.1}, {0.8, 0.9}})
}

func colored(color string) *qdrant.PrefetchQuery {
	return &qdrant.PrefetchQuery{
		Query:  qdrant.NewQuery(0.01, 0.45, 0.67),
		Filter: &qdrant.Filter{Must: []*qdrant.Condition{qdrant.NewMatch("color", color)}},
	}
}

func contextPair(positive, negative uint64) *qdrant.ContextInputPair {
	return &qdrant.ContextInputPair{
		Positive: qdrant.NewVectorInputID(qdrant.NewIDNum(positive)),
		Negative: qdrant.NewVectorInputID(qdrant.NewIDNum(negative)),
	}
}

func examples() []example {
	byID := qdrant.NewQueryID(qdrant.NewID(known))
	knownInput := qdrant.NewVectorInputID(qdrant.NewID(known))
	pairs := &qdrant.ContextInput{Pairs: []*qdrant.ContextInputPair{contextPair(1, 2), contextPair(8, 9)}}
	lookup := func(vector string) *qdrant.QueryPoints {
		return &qdrant.QueryPoints{
			CollectionName: "articles",
			Query:          byID,
			Using:          qdrant.PtrOf("512d-vector"),
			LookupFrom:     &qdrant.LookupLocation{CollectionName: "another_collection", VectorName: &vector},
		}
	}
	return []example{
		{"fuse-rrf", &qdrant.QueryPoints{
			CollectionName: "articles",
			Prefetch:       sparseAndDense(),
			Query:          qdrant.NewQueryFusion(qdrant.Fusion_RRF),
		}},
		{"fuse-dbsf", &qdrant.QueryPoints{
			CollectionName: "articles",
			Prefetch:       sparseAndDense(),
			Query:          qdrant.NewQueryFusion(qdrant.Fusion_DBSF),
		}},
		{"rescore-bytes", &qdrant.QueryPoints{
			CollectionName: "articles",
			Prefetch:       candidates(),
			Query:          qdrant.NewQueryDense([]float32{0.01, 0.299, 0.45, 0.67}),
			Using:          qdrant.PtrOf("full"),
		}},
		{"rescore-tokens", &qdrant.QueryPoints{
			CollectionName: "articles",
			Prefetch: []*qdrant.PrefetchQuery{{
				Query: qdrant.NewQueryDense([]float32{0.01, 0.45, 0.67}),
				Limit: qdrant.PtrOf(uint64(100)),
			}},
			Query: tokenQuery(),
			Using: qdrant.PtrOf("colbert"),
		}},
		{"three-stages", &qdrant.QueryPoints{
			CollectionName: "stages",
			Prefetch: []*qdrant.PrefetchQuery{{
				Prefetch: candidates(),
				Query:    qdrant.NewQueryDense([]float32{0.01, 0.45, 0.67}),
				Limit:    qdrant.PtrOf(uint64(100)),
				Using:    qdrant.PtrOf("full"),
			}},
			Query: tokenQuery(),
			Using: qdrant.PtrOf("colbert"),
		}},
		{"by-id", &qdrant.QueryPoints{CollectionName: "articles", Query: byID}},
		{"by-id-using", &qdrant.QueryPoints{
			CollectionName: "articles", Query: byID, Using: qdrant.PtrOf("colbert"),
		}},
		{"lookup-from", lookup("image-512")},
		{"lookup-mismatch", lookup("thumbnail")},
		{"no-query", &qdrant.QueryPoints{CollectionName: "articles"}},
		{"defaults", &qdrant.QueryPoints{
			CollectionName: "articles",
			Query:          qdrant.NewQuery(0.01, 0.45, 0.67),
			Using:          qdrant.PtrOf(""),
			Prefetch:       []*qdrant.PrefetchQuery{},
			Filter:         &qdrant.Filter{},
			Limit:          qdrant.PtrOf(uint64(10)),
			Offset:         qdrant.PtrOf(uint64(0)),
			WithPayload:    qdrant.NewWithPayload(false),
			WithVectors:    qdrant.NewWithVectors(false),
		}},
		{"nearest", &qdrant.QueryPoints{
			CollectionName: "articles",
			Query:          qdrant.NewQueryNearest(qdrant.NewVectorInput(0.01, 0.45, 0.67)),
		}},
		{"recommend", &qdrant.QueryPoints{
			CollectionName: "articles",
			Query: qdrant.NewQueryRecommend(&qdrant.RecommendInput{
				Positive: []*qdrant.VectorInput{qdrant.NewVectorInputID(qdrant.NewIDNum(1)), knownInput},
				Negative: []*qdrant.VectorInput{qdrant.NewVectorInputID(qdrant.NewIDNum(2))},
			}),
		}},
		{"discover", &qdrant.QueryPoints{
			CollectionName: "articles",
			Query:          qdrant.NewQueryDiscover(&qdrant.DiscoverInput{Target: knownInput, Context: pairs}),
		}},
		{"context", &qdrant.QueryPoints{CollectionName: "articles", Query: qdrant.NewQueryContext(pairs)}},
		{"order-by", &qdrant.QueryPoints{
			CollectionName: "articles",
			Query:          qdrant.NewQueryOrderBy(&qdrant.OrderBy{Key: "price"}),
		}},
		{"colors-by-price", &qdrant.QueryPoints{
			CollectionName: "articles",
			Prefetch:       []*qdrant.PrefetchQuery{colored("red"), colored("green")},
			Query:          qdrant.NewQueryOrderBy(&qdrant.OrderBy{Key: "price"}),
		}},
	}
}

func pairs(hits []*qdrant.ScoredPoint) [][]any {
	shown := [][]any{}
	for _, hit := range hits {
		var id any = hit.Id.GetNum()
		if uuid := hit.Id.GetUuid(); uuid != "" {
			id = uuid
		}
		shown = append(shown, []any{id, hit.Score})
	}
	return shown
}

func show(name, kind string, answer [][]any, err error) {
	line := map[string]any{"example": name, kind: answer}
	if err != nil {
		line = map[string]any{"example": name, "error": err.Error()}
	}
	text, err := json.Marshal(line)
	must(err)
	fmt.Println(string(text))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
