import static io.qdrant.client.PointIdFactory.id;
import static io.qdrant.client.ValueFactory.value;
import static io.qdrant.client.VectorFactory.multiVector;
import static io.qdrant.client.VectorFactory.vector;
import static io.qdrant.client.VectorsFactory.namedVectors;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.qdrant.client.QdrantClient;
import io.qdrant.client.grpc.Collections.CreateCollection;
import io.qdrant.client.grpc.Collections.Datatype;
import io.qdrant.client.grpc.Collections.Distance;
import io.qdrant.client.grpc.Collections.MultiVectorComparator;
import io.qdrant.client.grpc.Collections.MultiVectorConfig;
import io.qdrant.client.grpc.Collections.PayloadSchemaType;
import io.qdrant.client.grpc.Collections.SparseVectorConfig;
import io.qdrant.client.grpc.Collections.SparseVectorParams;
import io.qdrant.client.grpc.Collections.VectorParams;
import io.qdrant.client.grpc.Collections.VectorParamsMap;
import io.qdrant.client.grpc.Collections.VectorsConfig;
import io.qdrant.client.grpc.Points.PointStruct;
import io.qdrant.client.grpc.Points.Vector;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutionException;

/** The three collections: their vectors, and their points from the files. */
final class Collections {
  private static final Gson GSON = new Gson();

  private Collections() {}

  /** Makes the collections anew and fills them. */
  static void createAll(QdrantClient client, Path folder)
      throws IOException, ExecutionException, InterruptedException {
    VectorParams bytes = dot(4).setDatatype(Datatype.Uint8).build();
    VectorParams tokens =
        dot(2)
            .setMultivectorConfig(
                MultiVectorConfig.newBuilder().setComparator(MultiVectorComparator.MaxSim))
            .build();
    VectorParams cosine = VectorParams.newBuilder().setSize(3).setDistance(Distance.Cosine).build();
    List<CreateCollection.Builder> requests =
        List.of(
            named(
                "another_collection",
                Map.of("image-512", dot(512).build(), "thumbnail", dot(3).build())),
            named(
                    "articles",
                    Map.of(
                        "", dot(3).build(),
                        "dense", cosine,
                        "full", dot(4).build(),
                        "mrl_byte", bytes,
                        "colbert", tokens,
                        "512d-vector", dot(512).build()))
                .setSparseVectorsConfig(
                    SparseVectorConfig.newBuilder()
                        .putMap("sparse", SparseVectorParams.getDefaultInstance())),
            named(
                "stages",
                Map.of(
                    "", dot(4).build(),
                    "full", dot(3).build(),
                    "mrl_byte", bytes,
                    "colbert", tokens)));
    for (CreateCollection.Builder request : requests) {
      String name = request.getCollectionName();
      if (client.collectionExistsAsync(name).get()) {
        client.deleteCollectionAsync(name).get();
      }
      client.createCollectionAsync(request.build()).get();
      client.upsertAsync(name, points(folder, name)).get();
    }
    client
        .createPayloadIndexAsync(
            "articles", "price", PayloadSchemaType.Integer, null, true, null, null)
        .get();
  }

  private static VectorParams.Builder dot(long size) {
    return VectorParams.newBuilder().setSize(size).setDistance(Distance.Dot);
  }

  private static CreateCollection.Builder named(String name, Map<String, VectorParams> vectors) {
    return CreateCollection.newBuilder()
        .setCollectionName(name)
        .setVectorsConfig(
            VectorsConfig.newBuilder()
                .setParamsMap(VectorParamsMap.newBuilder().putAllMap(vectors)));
  }

  private static List<PointStruct> points(Path folder, String name) throws IOException {
    JsonObject body =
        GSON.fromJson(Files.readString(folder.resolve(name + ".json")), JsonObject.class);
    List<PointStruct> points = new ArrayList<>();
    for (JsonElement each : body.getAsJsonArray("points")) {
      points.add(point(each.getAsJsonObject()));
    }
    return points;
  }

  private static PointStruct point(JsonObject record) {
    JsonPrimitive given = record.getAsJsonPrimitive("id");
    Map<String, Vector> vectors = new java.util.HashMap<>();
    record.getAsJsonObject("vector").asMap().forEach((name, raw) -> vectors.put(name, stored(raw)));
    PointStruct.Builder point =
        PointStruct.newBuilder()
            .setId(
                given.isNumber() ? id(given.getAsLong()) : id(UUID.fromString(given.getAsString())))
            .setVectors(namedVectors(vectors));
    if (record.has("payload")) {
      JsonObject payload = record.getAsJsonObject("payload");
      point.putPayload("color", value(payload.get("color").getAsString()));
      point.putPayload("price", value(payload.get("price").getAsLong()));
      point.putPayload("document_id", value(payload.get("document_id").getAsString()));
    }
    return point.build();
  }

  private static Vector stored(JsonElement raw) {
    if (raw.isJsonObject()) {
      Sparse sparse = GSON.fromJson(raw, Sparse.class);
      return vector(sparse.values(), sparse.indices());
    }
    if (raw.getAsJsonArray().get(0).isJsonArray()) {
      return multiVector(GSON.fromJson(raw, float[][].class));
    }
    return vector(GSON.fromJson(raw, float[].class));
  }

  private record Sparse(List<Float> values, List<Integer> indices) {}
}
