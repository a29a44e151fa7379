//! The three collections: their vectors, and their points from the files.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use qdrant_client::qdrant::{
    CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Datatype, Distance, FieldType,
    MultiVectorComparator, MultiVectorConfigBuilder, PointId, PointStruct, SparseVectorParams,
    SparseVectorsConfigBuilder, UpsertPointsBuilder, Vector, VectorParamsBuilder,
    VectorsConfigBuilder,
};
use qdrant_client::{Payload, Qdrant};
use serde_json::Value;

use crate::Outcome;

/// Makes the collections anew and fills them.
pub async fn create_all(client: &Qdrant, folder: &Path) -> Outcome<()> {
    let dot = |size| VectorParamsBuilder::new(size, Distance::Dot);
    let bytes = || dot(4).datatype(Datatype::Uint8);
    let tokens =
        || dot(2).multivector_config(MultiVectorConfigBuilder::new(MultiVectorComparator::MaxSim));

    let mut others = VectorsConfigBuilder::default();
    others.add_named_vector_params("image-512", dot(512));
    others.add_named_vector_params("thumbnail", dot(3));

    let mut articles = VectorsConfigBuilder::default();
    articles.add_vector_params(dot(3));
    articles.add_named_vector_params("dense", VectorParamsBuilder::new(3, Distance::Cosine));
    articles.add_named_vector_params("full", dot(4));
    articles.add_named_vector_params("mrl_byte", bytes());
    articles.add_named_vector_params("colbert", tokens());
    articles.add_named_vector_params("512d-vector", dot(512));
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params("sparse", SparseVectorParams::default());

    let mut stages = VectorsConfigBuilder::default();
    stages.add_vector_params(dot(4));
    stages.add_named_vector_params("full", dot(3));
    stages.add_named_vector_params("mrl_byte", bytes());
    stages.add_named_vector_params("colbert", tokens());

    let requests = [
        (
            "another_collection",
            CreateCollectionBuilder::new("another_collection").vectors_config(others),
        ),
        (
            "articles",
            CreateCollectionBuilder::new("articles")
                .vectors_config(articles)
                .sparse_vectors_config(sparse),
        ),
        (
            "stages",
            CreateCollectionBuilder::new("stages").vectors_config(stages),
        ),
    ];
    for (name, request) in requests {
        if client.collection_exists(name).await? {
            client.delete_collection(name).await?;
        }
        client.create_collection(request).await?;
        let points = points_of(folder, name)?;
        client
            .upsert_points(UpsertPointsBuilder::new(name, points).wait(true))
            .await?;
    }
    let index = CreateFieldIndexCollectionBuilder::new("articles", "price", FieldType::Integer);
    client.create_field_index(index.wait(true)).await?;
    Ok(())
}

fn points_of(folder: &Path, name: &str) -> Outcome<Vec<PointStruct>> {
    let text = fs::read_to_string(folder.join(format!("{name}.json")))?;
    let body: Value = serde_json::from_str(&text)?;
    body["points"]
        .as_array()
        .into_iter()
        .flatten()
        .map(point)
        .collect()
}

fn point(record: &Value) -> Outcome<PointStruct> {
    let id = match &record["id"] {
        Value::String(uuid) => PointId::from(uuid.as_str()),
        number => PointId::from(number.as_u64().ok_or("an id is a number or a string")?),
    };
    let mut vectors = HashMap::new();
    for (name, given) in record["vector"].as_object().into_iter().flatten() {
        vectors.insert(name.clone(), vector(given)?);
    }
    let payload = match &record["payload"] {
        Value::Null => Payload::new(),
        given => Payload::try_from(given.clone())?,
    };
    Ok(PointStruct::new(id, vectors, payload))
}

fn vector(given: &Value) -> Outcome<Vector> {
    let parsed = |value: &Value| serde_json::from_value::<Vec<f32>>(value.clone());
    Ok(if given.is_object() {
        let indices: Vec<u32> = serde_json::from_value(given["indices"].clone())?;
        Vector::new_sparse(indices, parsed(&given["values"])?)
    } else if given[0].is_array() {
        Vector::new_multi(serde_json::from_value::<Vec<Vec<f32>>>(given.clone())?)
    } else {
        Vector::new_dense(parsed(given)?)
    })
}
