import static io.qdrant.client.ConditionFactory.matchKeyword;
import static io.qdrant.client.QueryFactory.context;
import static io.qdrant.client.QueryFactory.discover;
import static io.qdrant.client.QueryFactory.fusion;
import static io.qdrant.client.QueryFactory.nearest;
import static io.qdrant.client.QueryFactory.orderBy;
import static io.qdrant.client.QueryFactory.recommend;
import static io.qdrant.client.VectorInputFactory.vectorInput;

import com.google.gson.Gson;
import io.qdrant.client.QdrantClient;
import io.qdrant.client.QdrantGrpcClient;
import io.qdrant.client.WithPayloadSelectorFactory;
import io.qdrant.client.WithVectorsSelectorFactory;
import io.qdrant.client.grpc.Common.Filter;
import io.qdrant.client.grpc.Points.ContextInput;
import io.qdrant.client.grpc.Points.ContextInputPair;
import io.qdrant.client.grpc.Points.DiscoverInput;
import io.qdrant.client.grpc.Points.Fusion;
import io.qdrant.client.grpc.Points.LookupLocation;
import io.qdrant.client.grpc.Points.PointGroup;
import io.qdrant.client.grpc.Points.PrefetchQuery;
import io.qdrant.client.grpc.Points.QueryPointGroups;
import io.qdrant.client.grpc.Points.QueryPoints;
import io.qdrant.client.grpc.Points.RecommendInput;
import io.qdrant.client.grpc.Points.ScoredPoint;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;

/** Every example through the Java client: {@code Guide PORT FOLDER}. */
final class Guide {
  private static final UUID KNOWN = UUID.fromString("43cf51e2-8777-4f52-bc74-c2cbde0c8b04");
  private static final float[][] TOKENS = {{0.1f, 0.2f}, {0.2f, 0.1f}, {0.8f, 0.9f}};
  private static final Gson GSON = new Gson();

  private Guide() {}

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    try (QdrantClient client =
        new QdrantClient(QdrantGrpcClient.newBuilder("localhost", port, false).build())) {
      Collections.createAll(client, Path.of(arguments[1]));
      for (Map.Entry<String, QueryPoints.Builder> each : examples().entrySet()) {
        try {
          show(each.getKey(), "hits", pairs(client.queryAsync(each.getValue().build()).get()));
        } catch (ExecutionException error) {
          show(each.getKey(), "error", String.valueOf(error.getCause().getMessage()));
        }
      }
      List<Object> groups = new ArrayList<>();
      for (PointGroup group : client.queryGroupsAsync(groups()).get()) {
        groups.add(List.of(group.getId().getStringValue(), pairs(group.getHitsList())));
      }
      show("groups", "groups", groups);
    }
  }

  private static QueryPointGroups groups() {
    return QueryPointGroups.newBuilder()
        .setCollectionName("articles")
        .setGroupBy("document_id")
        .setQuery(nearest(0.01f, 0.45f, 0.67f))
        .setLimit(4)
        .setGroupSize(2)
        .build();
  }

  private static Map<String, QueryPoints.Builder> examples() {
    Map<String, QueryPoints.Builder> examples = new LinkedHashMap<>();
    examples.put("fuse-rrf", sparseAndDense().setQuery(fusion(Fusion.RRF)));
    examples.put("fuse-dbsf", sparseAndDense().setQuery(fusion(Fusion.DBSF)));
    examples.put(
        "rescore-bytes",
        articles()
            .addPrefetch(candidates())
            .setQuery(nearest(0.01f, 0.299f, 0.45f, 0.67f))
            .setUsing("full")
            .setLimit(10));
    examples.put(
        "rescore-tokens",
        articles()
            .addPrefetch(
                PrefetchQuery.newBuilder()
                    .setQuery(nearest(0.01f, 0.45f, 0.67f))
                    .setLimit(100)
                    .build())
            .setQuery(nearest(TOKENS))
            .setUsing("colbert")
            .setLimit(10));
    examples.put(
        "three-stages",
        QueryPoints.newBuilder()
            .setCollectionName("stages")
            .addPrefetch(
                PrefetchQuery.newBuilder()
                    .addPrefetch(candidates())
                    .setQuery(nearest(0.01f, 0.45f, 0.67f))
                    .setUsing("full")
                    .setLimit(100)
                    .build())
            .setQuery(nearest(TOKENS))
            .setUsing("colbert")
            .setLimit(10));
    examples.put("by-id", articles().setQuery(nearest(KNOWN)));
    examples.put("by-id-using", articles().setQuery(nearest(KNOWN)).setUsing("colbert"));
    examples.put("lookup-from", lookedUp("image-512"));
    examples.put("lookup-mismatch", lookedUp("thumbnail"));
    examples.put("no-query", articles());
    examples.put(
        "defaults",
        articles()
            .setQuery(nearest(0.01f, 0.45f, 0.67f))
            .setUsing("")
            .setFilter(Filter.getDefaultInstance())
            .setLimit(10)
            .setOffset(0)
            .setWithPayload(WithPayloadSelectorFactory.enable(false))
            .setWithVectors(WithVectorsSelectorFactory.enable(false)));
    examples.put("nearest", articles().setQuery(nearest(vectorInput(0.01f, 0.45f, 0.67f))));
    examples.put(
        "recommend",
        articles()
            .setQuery(
                recommend(
                    RecommendInput.newBuilder()
                        .addPositive(vectorInput(1))
                        .addPositive(vectorInput(KNOWN))
                        .addNegative(vectorInput(2))
                        .build())));
    examples.put(
        "discover",
        articles()
            .setQuery(
                discover(
                    DiscoverInput.newBuilder()
                        .setTarget(vectorInput(KNOWN))
                        .setContext(contextPairs())
                        .build())));
    examples.put("context", articles().setQuery(context(contextPairs())));
    examples.put("order-by", articles().setQuery(orderBy("price")));
    examples.put(
        "colors-by-price",
        articles()
            .addPrefetch(colored("red"))
            .addPrefetch(colored("green"))
            .setQuery(orderBy("price")));
    return examples;
  }

  private static QueryPoints.Builder articles() {
    return QueryPoints.newBuilder().setCollectionName("articles");
  }

  private static QueryPoints.Builder sparseAndDense() {
    return articles()
        .addPrefetch(
            PrefetchQuery.newBuilder()
                .setQuery(nearest(List.of(0.22f, 0.8f), List.of(1, 42)))
                .setUsing("sparse")
                .setLimit(20)
                .build())
        .addPrefetch(
            PrefetchQuery.newBuilder()
                .setQuery(nearest(List.of(0.01f, 0.45f, 0.67f)))
                .setUsing("dense")
                .setLimit(20)
                .build());
  }

  private static PrefetchQuery candidates() {
    return PrefetchQuery.newBuilder()
        .setQuery(nearest(1, 23, 45, 67))
        .setLimit(1000)
        .setUsing("mrl_byte")
        .build();
  }

  private static PrefetchQuery colored(String color) {
    return PrefetchQuery.newBuilder()
        .setQuery(nearest(0.01f, 0.45f, 0.67f))
        .setFilter(Filter.newBuilder().addMust(matchKeyword("color", color)).build())
        .setLimit(10)
        .build();
  }

  private static QueryPoints.Builder lookedUp(String vector) {
    return articles()
        .setQuery(nearest(KNOWN))
        .setUsing("512d-vector")
        .setLookupFrom(
            LookupLocation.newBuilder()
                .setCollectionName("another_collection")
                .setVectorName(vector)
                .build());
  }

  private static ContextInput contextPairs() {
    return ContextInput.newBuilder()
        .addPairs(pair(1, 2))
        .addPairs(pair(8, 9))
        .build();
  }

  private static ContextInputPair pair(long positive, long negative) {
    return ContextInputPair.newBuilder()
        .setPositive(vectorInput(positive))
        .setNegative(vectorInput(negative))
        .build();
  }

  private static List<Object> pairs(List<ScoredPoint> hits) {
    List<Object> shown = new ArrayList<>();
    for (ScoredPoint hit : hits) {
      Object id = hit.getId().hasNum() ? (Object) hit.getId().getNum() : hit.getId().getUuid();
      shown.add(List.of(id, hit.getScore()));
    }
    return shown;
  }

  private static void show(String example, String kind, Object answer) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("example", example);
    line.put(kind, answer);
    System.out.println(GSON.toJson(line));
  }
}
