import assert from "node:assert/strict";
import { test } from "node:test";
import { COMMANDS, commandsFor } from "./commands.ts";

const output = { result: () => {}, note: () => {} };
const namesFor = async (word: string | undefined): Promise<readonly string[]> =>
  (await commandsFor(word)).map((make) => make(output).name());

test("each command is found by its own name, alone", async () => {
  for (const name of Object.keys(COMMANDS)) assert.deepEqual(await namesFor(name), [name]);
});

test("for the help, an option or a word that is no command, all are there, in the help's order", async () => {
  for (const word of [undefined, "--help", "help", "pubb", "constructor"])
    assert.deepEqual(await namesFor(word), Object.keys(COMMANDS), word);
});
