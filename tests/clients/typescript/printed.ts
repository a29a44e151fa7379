// What both programs read and print.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Sparse = { indices: number[]; values: number[] };
export type Stored = {
    id: number | string;
    vector: Record<string, number[] | number[][] | Sparse>;
    payload?: Record<string, string | number>;
};
export type Pair = [number | string, number];

export function pointsOf(folder: string, name: string): Stored[] {
    return JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')).points;
}

export async function show(example: string, kind: 'hits' | 'groups', answer: Promise<unknown>): Promise<void> {
    try {
        console.log(JSON.stringify({ example, [kind]: await answer }));
    } catch (error) {
        console.log(JSON.stringify({ example, error: errorText(error) }));
    }
}

// The REST client keeps the server's words in `data.status.error` of its error.
function errorText(error: unknown): string {
    const data = (error as { data?: unknown }).data;
    return data === undefined ? String(error) : `${String(error)} ${JSON.stringify(data)}`;
}
