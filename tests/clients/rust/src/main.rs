//! Every example through the Rust client: `guide PORT FOLDER`.
//!
//! Two names of the guide's snippets are not what they should be: `PointId::new` is `PointId::from` in today's client,
//! and `mlr_byte` is a slip for `mrl_byte`.

mod collections;

use std::env;
use std::error::Error;
use std::path::Path;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::{
    Condition, ContextInput, ContextInputBuilder, ContextInputPair, ContextInputPairBuilder,
    DiscoverInputBuilder, Filter, Fusion, LookupLocationBuilder, PointId, PrefetchQueryBuilder,
    Query, QueryPointGroupsBuilder, QueryPointsBuilder, RecommendInputBuilder, ScoredPoint,
    VectorInput,
};
use qdrant_client::{Qdrant, QdrantError};
use serde_json::{json, Value};

type Outcome<T> = Result<T, Box<dyn Error>>;

const KNOWN: &str = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(ask(&arguments[1], Path::new(&arguments[2])))
}

async fn ask(port: &str, folder: &Path) -> Outcome<()> {
    let client = Qdrant::from_url(&format!("http://localhost:{port}")).build()?;
    collections::create_all(&client, folder).await?;
    for (name, query) in examples() {
        let answer = client.query(query).await;
        show(name, "hits", answer.map(|response| pairs(&response.result)));
    }
    let groups = client
        .query_groups(
            QueryPointGroupsBuilder::new("articles", "document_id")
                .query(Query::from(vec![0.01, 0.45, 0.67]))
                .limit(4u64)
                .group_size(2u64),
        )
        .await;
    let shown = groups.map(|response| {
        let groups = response
            .result
            .map(|result| result.groups)
            .unwrap_or_default();
        groups
            .iter()
            .map(|group| json!([key_of(group), pairs(&group.hits)]))
            .collect()
    });
    show("groups", "groups", shown);
    Ok(())
}

fn sparse_and_dense() -> [PrefetchQueryBuilder; 2] {
    [
        PrefetchQueryBuilder::default()
            .query(Query::new_nearest([(1, 0.22), (42, 0.8)].as_slice()))
            .using("sparse")
            .limit(20u64),
        PrefetchQueryBuilder::default()
            .query(Query::new_nearest(vec![0.01, 0.45, 0.67]))
            .using("dense")
            .limit(20u64),
    ]
}

fn fused(fusion: Fusion) -> QueryPointsBuilder {
    let [sparse, dense] = sparse_and_dense();
    QueryPointsBuilder::new("articles")
        .add_prefetch(sparse)
        .add_prefetch(dense)
        .query(Query::new_fusion(fusion))
}

fn candidates() -> PrefetchQueryBuilder {
    PrefetchQueryBuilder::default()
        .query(Query::new_nearest(vec![1.0, 23.0, 45.0, 67.0]))
        .using("mrl_byte")
        .limit(1000u64)
}

fn tokens() -> Query {
    Query::new_nearest(vec![vec![0.1, 0.2], vec![0.2, 0.1], vec![0.8, 0.9]])
}

fn by_id() -> QueryPointsBuilder {
    QueryPointsBuilder::new("articles").query(Query::new_nearest(PointId::from(KNOWN)))
}

fn looked_up(vector: &str) -> QueryPointsBuilder {
    by_id()
        .using("512d-vector")
        .lookup_from(LookupLocationBuilder::new("another_collection").vector_name(vector))
}

fn colored(color: &str) -> PrefetchQueryBuilder {
    PrefetchQueryBuilder::default()
        .query(Query::new_nearest(vec![0.01, 0.45, 0.67]))
        .filter(Filter::must([Condition::matches(
            "color",
            color.to_string(),
        )]))
        .limit(10u64)
}

fn context() -> ContextInput {
    let pair = |positive: u64, negative: u64| -> ContextInputPair {
        ContextInputPairBuilder::new(positive, negative).into()
    };
    ContextInputBuilder::default()
        .pairs([pair(1, 2), pair(8, 9)])
        .into()
}

fn examples() -> Vec<(&'static str, QueryPointsBuilder)> {
    let articles = || QueryPointsBuilder::new("articles");
    vec![
        ("fuse-rrf", fused(Fusion::Rrf)),
        ("fuse-dbsf", fused(Fusion::Dbsf)),
        (
            "rescore-bytes",
            articles()
                .add_prefetch(candidates())
                .query(Query::new_nearest(vec![0.01, 0.299, 0.45, 0.67]))
                .using("full")
                .limit(10u64),
        ),
        (
            "rescore-tokens",
            articles()
                .add_prefetch(
                    PrefetchQueryBuilder::default()
                        .query(Query::new_nearest(vec![0.01, 0.45, 0.67]))
                        .limit(100u64),
                )
                .query(tokens())
                .using("colbert")
                .limit(10u64),
        ),
        (
            "three-stages",
            QueryPointsBuilder::new("stages")
                .add_prefetch(
                    PrefetchQueryBuilder::default()
                        .add_prefetch(candidates())
                        .query(Query::new_nearest(vec![0.01, 0.45, 0.67]))
                        .using("full")
                        .limit(100u64),
                )
                .query(tokens())
                .using("colbert")
                .limit(10u64),
        ),
        ("by-id", by_id()),
        ("by-id-using", by_id().using("colbert")),
        ("lookup-from", looked_up("image-512")),
        ("lookup-mismatch", looked_up("thumbnail")),
        ("no-query", articles()),
        (
            "defaults",
            articles()
                .query(vec![0.01, 0.45, 0.67])
                .using("")
                .filter(Filter::default())
                .limit(10u64)
                .offset(0u64)
                .with_payload(false)
                .with_vectors(false),
        ),
        (
            "nearest",
            articles().query(Query::new_nearest(vec![0.01, 0.45, 0.67])),
        ),
        (
            "recommend",
            articles().query(Query::new_recommend(
                RecommendInputBuilder::default()
                    .positive([VectorInput::from(1u64), VectorInput::from(KNOWN)])
                    .negative([VectorInput::from(2u64)])
                    .build(),
            )),
        ),
        (
            "discover",
            articles().query(Query::new_discover(DiscoverInputBuilder::new(
                KNOWN,
                context(),
            ))),
        ),
        ("context", articles().query(Query::new_context(context()))),
        ("order-by", articles().query(Query::new_order_by("price"))),
        (
            "colors-by-price",
            articles()
                .add_prefetch(colored("red"))
                .add_prefetch(colored("green"))
                .query(Query::new_order_by("price")),
        ),
    ]
}

fn key_of(group: &qdrant_client::qdrant::PointGroup) -> Value {
    use qdrant_client::qdrant::group_id::Kind;
    match group.id.as_ref().and_then(|id| id.kind.as_ref()) {
        Some(Kind::StringValue(text)) => json!(text),
        other => json!(format!("{other:?}")),
    }
}

fn pairs(hits: &[ScoredPoint]) -> Vec<Value> {
    hits.iter()
        .map(|hit| json!([id_of(hit), hit.score]))
        .collect()
}

fn id_of(hit: &ScoredPoint) -> Value {
    match hit.id.as_ref().and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Num(number)) => json!(number),
        Some(PointIdOptions::Uuid(uuid)) => json!(uuid),
        None => Value::Null,
    }
}

fn show(name: &str, kind: &str, answer: Result<Vec<Value>, QdrantError>) {
    match answer {
        Ok(rows) => println!("{}", json!({"example": name, kind: rows})),
        Err(error) => println!("{}", json!({"example": name, "error": error.to_string()})),
    }
}
