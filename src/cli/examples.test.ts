import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { commandsIn } from "./examples.fixture.ts";
import { EXAMPLES } from "./examples.ts";
import { program } from "./program.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SILENT = { result: () => {}, note: () => {} };

function* below(command: Command, path: string): Generator<readonly [path: string, command: Command]> {
  if (path !== "") yield [path, command];
  for (const child of command.commands) yield* below(child, `${path} ${child.name()}`.trim());
}

const ALL = [...below(await program(SILENT, undefined), "")];
/** Those that do something; `backup` and `agent` do, and have verbs below them. */
const DOING = ALL.filter(([path, { commands }]) => commands.length === 0 || path === "agent" || path === "backup");

/** It does nothing by itself, so that the word behind it is one of its verbs. */
const NEEDS_VERB = ({ commands, registeredArguments }: Command): boolean =>
  commands.length > 0 && registeredArguments.length === 0;

function files(folder: string, name: RegExp): readonly string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => name.test(path))
    .map((path) => `${folder}/${path}`);
}

test("each verb that does something has examples, and no other", () => {
  assert.deepEqual(Object.keys(EXAMPLES).sort(), DOING.map(([path]) => path).sort());
});

test("each example is read by the program as it stands: verb, arguments, options, and the values of those", async () => {
  for (const [path, examples] of Object.entries(EXAMPLES)) {
    for (const example of examples) {
      const commands = commandsIn(example);
      assert.ok(
        commands.some((words) => words.join(" ").startsWith(path)),
        `${path}: ${example}`,
      );
      for (const words of commands) {
        const root = await program(SILENT, words[0]);
        let ran = "";
        for (const [name, command] of below(root, "")) command.action(() => void (ran = name));
        await root
          .parseAsync(words, { from: "user" })
          .catch((error: unknown) => assert.fail(`${example}: ${String(error)}`));
        assert.equal(words.join(" ").startsWith(ran) && ran !== "", true, `${example} ran '${ran}'`);
      }
    }
  }
});

test("what cannot be taken back asks, and takes --yes where nobody can answer", () => {
  const asking = ALL.filter(([, { options }]) => options.some(({ long }) => long === "--yes")).map(([path]) => path);
  const final = DOING.map(([path]) => path).filter((path) =>
    /(?:^| )(?:delete|drop|forget|remove|reset|retire|revoke|rotate)$/.test(path),
  );
  assert.ok(final.length > 10);
  assert.deepEqual(
    asking,
    ALL.map(([path]) => path).filter((path) => [...final, "things password", "apply"].includes(path)),
  );
});

test("each verb, argument and option says what it is; times are written in one way; a default is what one would type", () => {
  for (const [path, command] of ALL) {
    assert.notEqual(command.description(), "", path);
    assert.doesNotMatch(command.helpInformation(), /default: (?:\[|\{|"|\d{6,})/, path);
    for (const argument of command.registeredArguments)
      assert.notEqual(argument.description, "", `${path} ${argument.name()}`);
    for (const { flags, description, defaultValue, defaultValueDescription } of command.options) {
      const where = `${path} ${flags}`;
      assert.notEqual(description, "", where);
      assert.doesNotMatch(flags, /<(?:days|seconds|span|time|ms|timeout|n)>/, where);
      if (/<duration>/.test(flags) && defaultValue !== undefined)
        assert.match(String(defaultValueDescription ?? defaultValue), /^(?:\d+[a-z]+|0)$/, where);
    }
  }
});

test("what messages and documents say to run is there: each `tidewire …` names a verb", () => {
  const verbs = new Map(ALL);
  const unknown: string[] = [];
  let seen = 0;
  for (const path of [...files("src", /\.tsx?$/), ...files("docs", /\.md$/), "README.md", "SECURITY.md"]) {
    if (/\.test\.tsx?$/.test(path)) continue;
    for (const [, said] of readFileSync(join(ROOT, path), "utf8").matchAll(
      /`tidewire ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)(?![a-z\\-])/g,
    )) {
      seen++;
      const [first, second] = said!.split(" ");
      const command = verbs.get(first!);
      const isKnown =
        command !== undefined && (second === undefined || !NEEDS_VERB(command) || verbs.has(`${first} ${second}`));
      if (!isKnown) unknown.push(`${path}: tidewire ${said}`);
    }
  }
  assert.ok(seen > 50, `${seen}`);
  assert.deepEqual(unknown, []);
});
