// Every example through the REST client: `node rest.js PORT FOLDER`.

import { QdrantClient } from '@qdrant/js-client-rest';
import { Pair, pointsOf, show } from './printed.js';

type Question = Parameters<QdrantClient['query']>[1];
type Hits = Awaited<ReturnType<QdrantClient['query']>>['points'];

const known = '43cf51e2-8777-4f52-bc74-c2cbde0c8b04';
const tokens = [
    [0.1, 0.2],
    [0.2, 0.1],
    [0.8, 0.9],
];
const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const client = new QdrantClient({ host: 'localhost', port });

const sparseAndDense = [
    { query: { values: [0.22, 0.8], indices: [1, 42] }, using: 'sparse', limit: 20 },
    { query: [0.01, 0.45, 0.67], using: 'dense', limit: 20 },
];
const pairs = [
    { positive: 1, negative: 2 },
    { positive: 8, negative: 9 },
];

function colored(color: string) {
    return {
        query: [0.01, 0.45, 0.67],
        filter: { must: { key: 'color', match: { value: color } } },
        limit: 10,
    };
}

const examples: [string, string, Question][] = [
    ['fuse-rrf', 'articles', { prefetch: sparseAndDense, query: { fusion: 'rrf' } }],
    ['fuse-dbsf', 'articles', { prefetch: sparseAndDense, query: { fusion: 'dbsf' } }],
    [
        'rescore-bytes',
        'articles',
        {
            prefetch: { query: [1, 23, 45, 67], using: 'mrl_byte', limit: 1000 },
            query: [0.01, 0.299, 0.45, 0.67],
            using: 'full',
            limit: 10,
        },
    ],
    [
        'rescore-tokens',
        'stages',
        { prefetch: { query: [1, 23, 45, 67], limit: 100 }, query: tokens, using: 'colbert', limit: 10 },
    ],
    [
        'three-stages',
        'stages',
        {
            prefetch: {
                prefetch: { query: [1, 23, 45, 67], using: 'mrl_byte', limit: 1000 },
                query: [0.01, 0.45, 0.67],
                using: 'full',
                limit: 100,
            },
            query: tokens,
            using: 'colbert',
            limit: 10,
        },
    ],
    ['by-id', 'articles', { query: known }],
    ['by-id-using', 'articles', { query: known, using: 'colbert' }],
    [
        'lookup-from',
        'articles',
        {
            query: known,
            using: '512d-vector',
            lookup_from: { collection: 'another_collection', vector: 'image-512' },
        },
    ],
    [
        'lookup-mismatch',
        'articles',
        {
            query: known,
            using: '512d-vector',
            lookup_from: { collection: 'another_collection', vector: 'thumbnail' },
        },
    ],
    ['no-query', 'articles', {}],
    [
        'defaults',
        'articles',
        {
            query: [0.01, 0.45, 0.67],
            using: '',
            prefetch: [],
            filter: {},
            limit: 10,
            offset: 0,
            with_payload: false,
            with_vector: false,
            score_threshold: null,
            lookup_from: null,
        },
    ],
    ['nearest', 'articles', { query: { nearest: [0.01, 0.45, 0.67] } }],
    ['recommend', 'articles', { query: { recommend: { positive: [1, known], negative: [2] } } }],
    ['discover', 'articles', { query: { discover: { target: known, context: pairs } } }],
    ['context', 'articles', { query: { context: pairs } }],
    ['order-by', 'articles', { query: { order_by: 'price' } }],
    [
        'colors-by-price',
        'articles',
        { prefetch: [colored('red'), colored('green')], query: { order_by: 'price' } },
    ],
];

async function createAll(): Promise<void> {
    const dot = (size: number) => ({ size, distance: 'Dot' as const });
    const bytes = { ...dot(4), datatype: 'uint8' as const };
    const late = { ...dot(2), multivector_config: { comparator: 'max_sim' as const } };
    const configs: [string, Parameters<QdrantClient['createCollection']>[1]][] = [
        ['another_collection', { vectors: { 'image-512': dot(512), thumbnail: dot(3) } }],
        [
            'articles',
            {
                vectors: {
                    '': dot(3),
                    dense: { size: 3, distance: 'Cosine' },
                    full: dot(4),
                    mrl_byte: bytes,
                    colbert: late,
                    '512d-vector': dot(512),
                },
                sparse_vectors: { sparse: {} },
            },
        ],
        ['stages', { vectors: { '': dot(4), full: dot(3), mrl_byte: bytes, colbert: late } }],
    ];
    for (const [name, config] of configs) {
        await client.deleteCollection(name);
        await client.createCollection(name, config);
        await client.upsert(name, { wait: true, points: pointsOf(folder, name) });
    }
    await client.createPayloadIndex('articles', { field_name: 'price', field_schema: 'integer', wait: true });
}

function shown(hits: Hits): Pair[] {
    return hits.map(({ id, score }) => [id, score]);
}

await createAll();
for (const [example, collection, question] of examples) {
    await show(example, 'hits', client.query(collection, question).then(({ points }) => shown(points)));
}
const grouped = client.queryGroups('articles', {
    query: [0.01, 0.45, 0.67],
    group_by: 'document_id',
    limit: 4,
    group_size: 2,
});
await show(
    'groups',
    'groups',
    grouped.then(({ groups }) => groups.map(({ id, hits }) => [id, shown(hits)])),
);
