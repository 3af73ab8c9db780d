/** Every function of the SQL. To add one: write its file, list it here; `docs/` and the tests follow. */
import { absFunction } from "./abs.ts";
import { accountidFunction } from "./accountid.ts";
import { acosFunction } from "./acos.ts";
import { asinFunction } from "./asin.ts";
import { atanFunction } from "./atan.ts";
import { atan2Function } from "./atan2.ts";
import { awsLambdaFunction } from "./aws-lambda.ts";
import { bitandFunction } from "./bitand.ts";
import { bitnotFunction } from "./bitnot.ts";
import { bitorFunction } from "./bitor.ts";
import { bitxorFunction } from "./bitxor.ts";
import { ceilFunction } from "./ceil.ts";
import { chrFunction } from "./chr.ts";
import { clientidFunction } from "./clientid.ts";
import { concatFunction } from "./concat.ts";
import { cosFunction } from "./cos.ts";
import { coshFunction } from "./cosh.ts";
import { decodeFunction } from "./decode.ts";
import { encodeFunction } from "./encode.ts";
import { endswithFunction } from "./endswith.ts";
import { expFunction } from "./exp.ts";
import { floorFunction } from "./floor.ts";
import { functionFunction } from "./function-call.ts";
import { getDynamodbFunction } from "./get-dynamodb.ts";
import { getMqttPropertyFunction } from "./get-mqtt-property.ts";
import { getOrDefaultFunction } from "./get-or-default.ts";
import { getRegistryDataFunction } from "./get-registry-data.ts";
import { getSecretFunction } from "./get-secret.ts";
import { getThingShadowFunction } from "./get-thing-shadow.ts";
import { getUserPropertiesFunction } from "./get-user-properties.ts";
import { getFunction } from "./get.ts";
import { indexofFunction } from "./indexof.ts";
import { isNullFunction } from "./is-null.ts";
import { isUndefinedFunction } from "./is-undefined.ts";
import { lengthFunction } from "./length.ts";
import { lnFunction } from "./ln.ts";
import { logFunction } from "./log.ts";
import { lookupFunction } from "./lookup.ts";
import { lowerFunction } from "./lower.ts";
import { lpadFunction } from "./lpad.ts";
import { ltrimFunction } from "./ltrim.ts";
import { machinelearningPredictFunction } from "./machinelearning-predict.ts";
import { md2Function } from "./md2.ts";
import { md5Function } from "./md5.ts";
import { modFunction } from "./mod.ts";
import { nanvlFunction } from "./nanvl.ts";
import { newuuidFunction } from "./newuuid.ts";
import { numbytesFunction } from "./numbytes.ts";
import { parseTimeFunction } from "./parse-time.ts";
import { powerFunction } from "./power.ts";
import { principalFunction } from "./principal.ts";
import { randFunction } from "./rand.ts";
import { regexpMatchesFunction } from "./regexp-matches.ts";
import { regexpReplaceFunction } from "./regexp-replace.ts";
import { regexpSubstrFunction } from "./regexp-substr.ts";
import { remainderFunction } from "./remainder.ts";
import { replaceFunction } from "./replace.ts";
import { roundFunction } from "./round.ts";
import { rpadFunction } from "./rpad.ts";
import { rtrimFunction } from "./rtrim.ts";
import { sha1Function } from "./sha1.ts";
import { sha224Function } from "./sha224.ts";
import { sha256Function } from "./sha256.ts";
import { sha384Function } from "./sha384.ts";
import { sha512Function } from "./sha512.ts";
import { signFunction } from "./sign.ts";
import { sinFunction } from "./sin.ts";
import { sinhFunction } from "./sinh.ts";
import { sourceipFunction } from "./sourceip.ts";
import { sqlVersionFunction } from "./sql-version.ts";
import { sqrtFunction } from "./sqrt.ts";
import { startswithFunction } from "./startswith.ts";
import { substringFunction } from "./substring.ts";
import { tanFunction } from "./tan.ts";
import { tanhFunction } from "./tanh.ts";
import { thingFunction } from "./thing.ts";
import { timeToEpochFunction } from "./time-to-epoch.ts";
import { timestampFunction } from "./timestamp.ts";
import { topicFunction } from "./topic.ts";
import { traceidFunction } from "./traceid.ts";
import { transformFunction } from "./transform.ts";
import { trimFunction } from "./trim.ts";
import { truncFunction } from "./trunc.ts";
import { upperFunction } from "./upper.ts";
import type { SqlFunction } from "./function.ts";

export type { SqlFunction };

const ALL: readonly SqlFunction[] = [
  absFunction,
  accountidFunction,
  acosFunction,
  asinFunction,
  atanFunction,
  atan2Function,
  awsLambdaFunction,
  bitandFunction,
  bitnotFunction,
  bitorFunction,
  bitxorFunction,
  ceilFunction,
  chrFunction,
  clientidFunction,
  concatFunction,
  cosFunction,
  coshFunction,
  decodeFunction,
  encodeFunction,
  endswithFunction,
  expFunction,
  floorFunction,
  functionFunction,
  getDynamodbFunction,
  getMqttPropertyFunction,
  getOrDefaultFunction,
  getRegistryDataFunction,
  getSecretFunction,
  getThingShadowFunction,
  getUserPropertiesFunction,
  getFunction,
  indexofFunction,
  isNullFunction,
  isUndefinedFunction,
  lengthFunction,
  lnFunction,
  logFunction,
  lookupFunction,
  lowerFunction,
  lpadFunction,
  ltrimFunction,
  machinelearningPredictFunction,
  md2Function,
  md5Function,
  modFunction,
  nanvlFunction,
  newuuidFunction,
  numbytesFunction,
  parseTimeFunction,
  powerFunction,
  principalFunction,
  randFunction,
  regexpMatchesFunction,
  regexpReplaceFunction,
  regexpSubstrFunction,
  remainderFunction,
  replaceFunction,
  roundFunction,
  rpadFunction,
  rtrimFunction,
  sha1Function,
  sha224Function,
  sha256Function,
  sha384Function,
  sha512Function,
  signFunction,
  sinFunction,
  sinhFunction,
  sourceipFunction,
  sqlVersionFunction,
  sqrtFunction,
  startswithFunction,
  substringFunction,
  tanFunction,
  tanhFunction,
  thingFunction,
  timeToEpochFunction,
  timestampFunction,
  topicFunction,
  traceidFunction,
  transformFunction,
  trimFunction,
  truncFunction,
  upperFunction,
];

/** By lower-case name. */
export const FUNCTIONS: ReadonlyMap<string, SqlFunction> = new Map(ALL.map((f) => [f.name.toLowerCase(), f]));
