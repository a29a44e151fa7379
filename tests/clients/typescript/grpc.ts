// Every example through the gRPC client: `node grpc.js PORT FOLDER`. Messages are written as their plain shapes.

import { Datatype, Distance, FieldType, Fusion, MultiVectorComparator, QdrantClient, ScoredPoint } from '@qdrant/js-client-grpc';
import { Pair, Sparse, Stored, pointsOf, show } from './printed.js';

type PointsApi = ReturnType<typeof points>;
type Plain = Extract<Parameters<PointsApi['query']>[0], { $typeName?: undefined }>;
type Question = Omit<Plain, 'collectionName'>;
type Query = NonNullable<Question['query']>;
type Prefetch = NonNullable<Question['prefetch']>[number];
type Points = NonNullable<Parameters<PointsApi['upsert']>[0]['points']>;

const known = '43cf51e2-8777-4f52-bc74-c2cbde0c8b04';
const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const client = new QdrantClient({ host: 'localhost', port, checkCompatibility: false });

function points() {
    return client.api('points');
}

const input = (id: bigint | string) => ({
    variant: {
        case: 'id' as const,
        value: {
            pointIdOptions:
                typeof id === 'string' ? { case: 'uuid' as const, value: id } : { case: 'num' as const, value: id },
        },
    },
});
const nearest = (value: ReturnType<typeof dense> | ReturnType<typeof input>) => ({
    variant: { case: 'nearest' as const, value },
});
const dense = (...data: number[]) => ({ variant: { case: 'dense' as const, value: { data } } });
const sparse: Query = {
    variant: {
        case: 'nearest',
        value: { variant: { case: 'sparse', value: { indices: [1, 42], values: [0.22, 0.8] } } },
    },
};
const tokens: Query = {
    variant: {
        case: 'nearest',
        value: {
            variant: {
                case: 'multiDense',
                value: { vectors: [{ data: [0.1, 0.2] }, { data: [0.2, 0.1] }, { data: [0.8, 0.9] }] },
            },
        },
    },
};
const fused = (value: Fusion): Query => ({ variant: { case: 'fusion', value } });
const byPrice: Query = { variant: { case: 'orderBy', value: { key: 'price' } } };
const byId: Query = nearest(input(known));
const context = {
    pairs: [
        { positive: input(1n), negative: input(2n) },
        { positive: input(8n), negative: input(9n) },
    ],
};
const sparseAndDense: Prefetch[] = [
    { query: sparse, using: 'sparse', limit: 20n },
    { query: nearest(dense(0.01, 0.45, 0.67)), using: 'dense', limit: 20n },
];
const candidates: Prefetch = { query: nearest(dense(1, 23, 45, 67)), using: 'mrl_byte', limit: 1000n };
const colored = (color: string): Prefetch => ({
    query: nearest(dense(0.01, 0.45, 0.67)),
    filter: {
        must: [
            {
                conditionOneOf: {
                    case: 'field',
                    value: { key: 'color', match: { matchValue: { case: 'keyword', value: color } } },
                },
            },
        ],
    },
    limit: 10n,
});
const lookedUp = (vectorName: string): Question => ({
    query: byId,
    using: '512d-vector',
    lookupFrom: { collectionName: 'another_collection', vectorName },
});

const examples: [string, string, Question][] = [
    ['fuse-rrf', 'articles', { prefetch: sparseAndDense, query: fused(Fusion.RRF) }],
    ['fuse-dbsf', 'articles', { prefetch: sparseAndDense, query: fused(Fusion.DBSF) }],
    [
        'rescore-bytes',
        'articles',
        { prefetch: [candidates], query: nearest(dense(0.01, 0.299, 0.45, 0.67)), using: 'full', limit: 10n },
    ],
    [
        'rescore-tokens',
        'stages',
        {
            prefetch: [{ query: nearest(dense(1, 23, 45, 67)), limit: 100n }],
            query: tokens,
            using: 'colbert',
            limit: 10n,
        },
    ],
    [
        'three-stages',
        'stages',
        {
            prefetch: [
                {
                    prefetch: [candidates],
                    query: nearest(dense(0.01, 0.45, 0.67)),
                    using: 'full',
                    limit: 100n,
                },
            ],
            query: tokens,
            using: 'colbert',
            limit: 10n,
        },
    ],
    ['by-id', 'articles', { query: byId }],
    ['by-id-using', 'articles', { query: byId, using: 'colbert' }],
    ['lookup-from', 'articles', lookedUp('image-512')],
    ['lookup-mismatch', 'articles', lookedUp('thumbnail')],
    ['no-query', 'articles', {}],
    [
        'defaults',
        'articles',
        {
            query: nearest(dense(0.01, 0.45, 0.67)),
            using: '',
            prefetch: [],
            filter: {},
            limit: 10n,
            offset: 0n,
            withPayload: { selectorOptions: { case: 'enable', value: false } },
            withVectors: { selectorOptions: { case: 'enable', value: false } },
        },
    ],
    ['nearest', 'articles', { query: nearest(dense(0.01, 0.45, 0.67)) }],
    [
        'recommend',
        'articles',
        {
            query: {
                variant: {
                    case: 'recommend',
                    value: { positive: [input(1n), input(known)], negative: [input(2n)] },
                },
            },
        },
    ],
    [
        'discover',
        'articles',
        { query: { variant: { case: 'discover', value: { target: input(known), context } } } },
    ],
    ['context', 'articles', { query: { variant: { case: 'context', value: context } } }],
    ['order-by', 'articles', { query: byPrice }],
    ['colors-by-price', 'articles', { prefetch: [colored('red'), colored('green')], query: byPrice }],
];

async function createAll(): Promise<void> {
    const dot = (size: bigint) => ({ size, distance: Distance.Dot });
    const bytes = { ...dot(4n), datatype: Datatype.Uint8 };
    const late = { ...dot(2n), multivectorConfig: { comparator: MultiVectorComparator.MaxSim } };
    const configs = {
        another_collection: { 'image-512': dot(512n), thumbnail: dot(3n) },
        articles: {
            '': dot(3n),
            dense: { size: 3n, distance: Distance.Cosine },
            full: dot(4n),
            mrl_byte: bytes,
            colbert: late,
            '512d-vector': dot(512n),
        },
        stages: { '': dot(4n), full: dot(3n), mrl_byte: bytes, colbert: late },
    };
    for (const [collectionName, map] of Object.entries(configs)) {
        await client.api('collections').delete({ collectionName });
        await client.api('collections').create({
            collectionName,
            vectorsConfig: { config: { case: 'paramsMap', value: { map } } },
            sparseVectorsConfig: collectionName === 'articles' ? { map: { sparse: {} } } : undefined,
        });
        await points().upsert({ collectionName, wait: true, points: pointsOf(folder, collectionName).map(message) });
    }
    await points().createFieldIndex({
        collectionName: 'articles',
        fieldName: 'price',
        fieldType: FieldType.FieldTypeInteger,
        wait: true,
    });
}

function message({ id, vector, payload = {} }: Stored): Points[number] {
    return {
        id: {
            pointIdOptions:
                typeof id === 'string' ? { case: 'uuid', value: id } : { case: 'num', value: BigInt(id) },
        },
        vectors: {
            vectorsOptions: {
                case: 'vectors',
                value: {
                    vectors: Object.fromEntries(Object.entries(vector).map(([name, given]) => [name, stored(given)])),
                },
            },
        },
        payload: Object.fromEntries(
            Object.entries(payload).map(([key, value]) => [
                key,
                typeof value === 'string'
                    ? { kind: { case: 'stringValue' as const, value } }
                    : { kind: { case: 'integerValue' as const, value: BigInt(value) } },
            ]),
        ),
    };
}

function stored(given: number[] | number[][] | Sparse) {
    if (!Array.isArray(given)) {
        return { vector: { case: 'sparse' as const, value: given } };
    }
    if (given.every(Array.isArray)) {
        const vectors = (given as number[][]).map((data) => ({ data }));
        return { vector: { case: 'multiDense' as const, value: { vectors } } };
    }
    return { vector: { case: 'dense' as const, value: { data: given as number[] } } };
}

function shown(hits: ScoredPoint[]): Pair[] {
    return hits.map(({ id, score }) => {
        const options = id?.pointIdOptions;
        return [options?.case === 'num' ? Number(options.value) : String(options?.value), score];
    });
}

await createAll();
for (const [example, collectionName, question] of examples) {
    const answer = points().query({ collectionName, ...question });
    await show(
        example,
        'hits',
        answer.then(({ result }) => shown(result)),
    );
}
const grouped = points().queryGroups({
    collectionName: 'articles',
    query: nearest(dense(0.01, 0.45, 0.67)),
    groupBy: 'document_id',
    limit: 4n,
    groupSize: 2n,
});
await show(
    'groups',
    'groups',
    grouped.then(({ result }) => result?.groups.map(({ id, hits }) => [String(id?.kind.value), shown(hits)])),
);
