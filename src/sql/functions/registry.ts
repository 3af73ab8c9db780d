/** Every function of the SQL. To add one: write its file, list it here; `docs/` and the tests follow. */
import { absFunction } from "./abs.ts";
import { ceilFunction } from "./ceil.ts";
import { floorFunction } from "./floor.ts";
import { roundFunction } from "./round.ts";
import { signFunction } from "./sign.ts";
import { sqrtFunction } from "./sqrt.ts";
import { truncFunction } from "./trunc.ts";
import { modFunction } from "./mod.ts";
import { powerFunction } from "./power.ts";
import { lowerFunction } from "./lower.ts";
import { upperFunction } from "./upper.ts";
import { trimFunction } from "./trim.ts";
import { ltrimFunction } from "./ltrim.ts";
import { rtrimFunction } from "./rtrim.ts";
import { lengthFunction } from "./length.ts";
import { numbytesFunction } from "./numbytes.ts";
import { startswithFunction } from "./startswith.ts";
import { endswithFunction } from "./endswith.ts";
import { indexofFunction } from "./indexof.ts";
import { replaceFunction } from "./replace.ts";
import { substringFunction } from "./substring.ts";
import { concatFunction } from "./concat.ts";
import { isUndefinedFunction } from "./is-undefined.ts";
import { isNullFunction } from "./is-null.ts";
import { nanvlFunction } from "./nanvl.ts";
import { getFunction } from "./get.ts";
import { getOrDefaultFunction } from "./get-or-default.ts";
import { thingFunction } from "./thing.ts";
import { topicFunction } from "./topic.ts";
import { timestampFunction } from "./timestamp.ts";
import { clientidFunction } from "./clientid.ts";
import { encodeFunction } from "./encode.ts";
import { decodeFunction } from "./decode.ts";
import type { SqlFunction } from "./function.ts";

export type { SqlFunction };

const ALL: readonly SqlFunction[] = [
  absFunction,
  ceilFunction,
  floorFunction,
  roundFunction,
  signFunction,
  sqrtFunction,
  truncFunction,
  modFunction,
  powerFunction,
  lowerFunction,
  upperFunction,
  trimFunction,
  ltrimFunction,
  rtrimFunction,
  lengthFunction,
  numbytesFunction,
  startswithFunction,
  endswithFunction,
  indexofFunction,
  replaceFunction,
  substringFunction,
  concatFunction,
  isUndefinedFunction,
  isNullFunction,
  nanvlFunction,
  getFunction,
  getOrDefaultFunction,
  thingFunction,
  topicFunction,
  timestampFunction,
  clientidFunction,
  encodeFunction,
  decodeFunction,
];

/** By lower-case name. */
export const FUNCTIONS: ReadonlyMap<string, SqlFunction> = new Map(ALL.map((f) => [f.name.toLowerCase(), f]));
