/** `tidewire verifier`: what the configuration keeps of a user's password. */
import { Command } from "commander";
import { saltedPassword, scramHash } from "../adapters/scram-hash.ts";
import { systemRandom } from "../adapters/system.ts";
import { TidewireError } from "../base/mod.ts";
import { preparedPassword, scramVerifier } from "../identity/mod.ts";
import type { Output } from "./output.ts";

const SALT_BYTES = 16;
/** A tenth of a second of the user's machine per login, and of a thief's per guess. */
const ITERATIONS = 100_000;

/** `input`: for tests, instead of standard input. */
export function verifierCommand(output: Output, input: AsyncIterable<string | Uint8Array> = process.stdin): Command {
  return new Command("verifier")
    .description("read a password from standard input, print what `users` of the configuration keeps of it")
    .action(async () => {
      const password = preparedPassword(await firstLine(input));
      if (password === null) {
        const reason = "it is empty, or has a character that passwords cannot have";
        throw new TidewireError("CONFIG_VALUE_INVALID", {
          file: "standard input",
          key: "password",
          reason,
          command: "verifier",
        });
      }
      const salt = systemRandom.bytes(SALT_BYTES);
      output.result(scramVerifier(scramHash, await saltedPassword(password, salt, ITERATIONS), salt, ITERATIONS));
    });
}

async function firstLine(input: AsyncIterable<string | Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of input) {
    text += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    if (text.includes("\n")) break;
  }
  return text.split(/\r?\n/, 1)[0]!;
}
