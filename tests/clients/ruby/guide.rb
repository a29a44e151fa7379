# Every example through stubs made from the project's protos: `ruby -I STUBS guide.rb PORT FOLDER`.

require 'json'
require 'collections_service_services_pb'
require 'points_service_services_pb'

KNOWN = '43cf51e2-8777-4f52-bc74-c2cbde0c8b04'
Q = Qdrant

def dense(*data)
  Q::Query.new(nearest: Q::VectorInput.new(dense: Q::DenseVector.new(data: data)))
end

def input(id)
  point_id = id.is_a?(String) ? Q::PointId.new(uuid: id) : Q::PointId.new(num: id)
  Q::VectorInput.new(id: point_id)
end

def tokens
  rows = [[0.1, 0.2], [0.2, 0.1], [0.8, 0.9]].map { |row| Q::DenseVector.new(data: row) }
  Q::Query.new(nearest: Q::VectorInput.new(multi_dense: Q::MultiDenseVector.new(vectors: rows)))
end

def sparse_and_dense
  sparse = Q::SparseVector.new(indices: [1, 42], values: [0.22, 0.8])
  [
    Q::PrefetchQuery.new(query: Q::Query.new(nearest: Q::VectorInput.new(sparse: sparse)), using: 'sparse', limit: 20),
    Q::PrefetchQuery.new(query: dense(0.01, 0.45, 0.67), using: 'dense', limit: 20)
  ]
end

def candidates
  Q::PrefetchQuery.new(query: dense(1, 23, 45, 67), using: 'mrl_byte', limit: 1000)
end

def colored(color)
  match = Q::FieldCondition.new(key: 'color', match: Q::Match.new(keyword: color))
  filter = Q::Filter.new(must: [Q::Condition.new(field: match)])
  Q::PrefetchQuery.new(query: dense(0.01, 0.45, 0.67), filter: filter, limit: 10)
end

def context
  pairs = [[1, 2], [8, 9]].map { |yes, no| Q::ContextInputPair.new(positive: input(yes), negative: input(no)) }
  Q::ContextInput.new(pairs: pairs)
end

def looked_up(vector)
  location = Q::LookupLocation.new(collection_name: 'another_collection', vector_name: vector)
  { query: Q::Query.new(nearest: input(KNOWN)), using: '512d-vector', lookup_from: location }
end

def examples
  by_id = Q::Query.new(nearest: input(KNOWN))
  by_price = Q::Query.new(order_by: Q::OrderBy.new(key: 'price'))
  recommend = Q::RecommendInput.new(positive: [input(1), input(KNOWN)], negative: [input(2)])
  three_stages = Q::PrefetchQuery.new(prefetch: [candidates], query: dense(0.01, 0.45, 0.67), using: 'full', limit: 100)
  {
    'fuse-rrf' => { prefetch: sparse_and_dense, query: Q::Query.new(fusion: :RRF) },
    'fuse-dbsf' => { prefetch: sparse_and_dense, query: Q::Query.new(fusion: :DBSF) },
    'rescore-bytes' => { prefetch: [candidates], query: dense(0.01, 0.299, 0.45, 0.67), using: 'full', limit: 10 },
    'rescore-tokens' => {
      prefetch: [Q::PrefetchQuery.new(query: dense(0.01, 0.45, 0.67), limit: 100)],
      query: tokens, using: 'colbert', limit: 10
    },
    'three-stages' => {
      collection_name: 'stages', prefetch: [three_stages], query: tokens, using: 'colbert', limit: 10
    },
    'by-id' => { query: by_id },
    'by-id-using' => { query: by_id, using: 'colbert' },
    'lookup-from' => looked_up('image-512'),
    'lookup-mismatch' => looked_up('thumbnail'),
    'no-query' => {},
    'defaults' => {
      query: dense(0.01, 0.45, 0.67), using: '', prefetch: [], filter: Q::Filter.new, limit: 10, offset: 0,
      with_payload: Q::WithPayloadSelector.new(enable: false), with_vectors: Q::WithVectorsSelector.new(enable: false)
    },
    'nearest' => { query: dense(0.01, 0.45, 0.67) },
    'recommend' => { query: Q::Query.new(recommend: recommend) },
    'discover' => { query: Q::Query.new(discover: Q::DiscoverInput.new(target: input(KNOWN), context: context)) },
    'context' => { query: Q::Query.new(context: context) },
    'order-by' => { query: by_price },
    'colors-by-price' => { prefetch: [colored('red'), colored('green')], query: by_price }
  }
end

def params(size, **rest)
  Q::VectorParams.new(size: size, distance: :Dot, **rest)
end

def create_all(collections, points, folder)
  bytes = params(4, datatype: :Uint8)
  late = params(2, multivector_config: Q::MultiVectorConfig.new(comparator: :MaxSim))
  configs = {
    'another_collection' => { 'image-512' => params(512), 'thumbnail' => params(3) },
    'articles' => {
      '' => params(3), 'dense' => Q::VectorParams.new(size: 3, distance: :Cosine), 'full' => params(4),
      'mrl_byte' => bytes, 'colbert' => late, '512d-vector' => params(512)
    },
    'stages' => { '' => params(4), 'full' => params(3), 'mrl_byte' => bytes, 'colbert' => late }
  }
  configs.each do |name, vectors|
    sparse = Q::SparseVectorConfig.new(map: { 'sparse' => Q::SparseVectorParams.new }) if name == 'articles'
    config = Q::VectorsConfig.new(params_map: Q::VectorParamsMap.new(map: vectors))
    collections.delete(Q::DeleteCollection.new(collection_name: name))
    collections.create(
      Q::CreateCollection.new(collection_name: name, vectors_config: config, sparse_vectors_config: sparse)
    )
    stored = JSON.parse(File.read(File.join(folder, "#{name}.json")))['points'].map { |each| point(each) }
    points.upsert(Q::UpsertPoints.new(collection_name: name, points: stored, wait: true))
  end
  points.create_field_index(
    Q::CreateFieldIndexCollection.new(
      collection_name: 'articles', field_name: 'price', field_type: :FieldTypeInteger, wait: true
    )
  )
end

def point(record)
  vectors = record['vector'].transform_values { |given| vector(given) }
  payload = (record['payload'] || {}).transform_values do |value|
    value.is_a?(String) ? Q::Value.new(string_value: value) : Q::Value.new(integer_value: value)
  end
  id = record['id'].is_a?(String) ? { uuid: record['id'] } : { num: record['id'] }
  named = Q::NamedVectors.new(vectors: vectors)
  Q::PointStruct.new(id: Q::PointId.new(**id), vectors: Q::Vectors.new(vectors: named), payload: payload)
end

def vector(given)
  if given.is_a?(Hash)
    Q::Vector.new(sparse: Q::SparseVector.new(indices: given['indices'], values: given['values']))
  elsif given.first.is_a?(Array)
    rows = given.map { |row| Q::DenseVector.new(data: row) }
    Q::Vector.new(multi_dense: Q::MultiDenseVector.new(vectors: rows))
  else
    Q::Vector.new(dense: Q::DenseVector.new(data: given))
  end
end

def pairs(hits)
  hits.map { |hit| [hit.id.point_id_options == :num ? hit.id.num : hit.id.uuid, hit.score] }
end

port, folder = ARGV
address = "localhost:#{port}"
collections = Q::Collections::Stub.new(address, :this_channel_is_insecure)
points = Q::Points::Stub.new(address, :this_channel_is_insecure)
create_all(collections, points, folder)
examples.each do |name, asked|
  answer = points.query(Q::QueryPoints.new(collection_name: 'articles', **asked))
  puts JSON.generate(example: name, hits: pairs(answer.result))
rescue GRPC::BadStatus => e
  puts JSON.generate(example: name, error: e.message)
end
groups = points.query_groups(
  Q::QueryPointGroups.new(
    collection_name: 'articles', query: dense(0.01, 0.45, 0.67), group_by: 'document_id', limit: 4, group_size: 2
  )
)
puts JSON.generate(
  example: 'groups', groups: groups.result.groups.map { |group| [group.id.string_value, pairs(group.hits)] }
)
