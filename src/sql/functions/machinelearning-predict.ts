import { isObject, setKey } from "../value.ts";
import type { SqlJson, SqlObject } from "../value.ts";
import type { SqlFunction } from "./function.ts";

/** AWS IoT: values that are objects or arrays are handed over as their JSON text. */
function flat(record: SqlObject): SqlJson {
  const copy: Record<string, SqlJson> = {};
  for (const key of Object.keys(record)) {
    const value = record[key]!;
    const deep = isObject(value) || Array.isArray(value);
    setKey(copy, key, deep ? JSON.stringify(value) : value);
  }
  return copy;
}

export const machinelearningPredictFunction: SqlFunction = {
  name: "machinelearning_predict",
  group: "external",
  signature: "machinelearning_predict(model, role, record)",
  summary:
    "What a model predicts for a record, an object of one level: predictedLabel, predictedScores or predictedValue, and details.",
  examples: [
    ["machinelearning_predict('wear', 'role', {'hours': 100}).predictedValue", "0.5"],
    ["machinelearning_predict('wear', 'role', 5)", "Undefined"],
  ],
  argsMin: 3,
  argsMax: 3,
  pure: false,
  fixedArguments: [1],
  call: () => undefined,
  external: {
    name: "machinelearning_predict",
    request: ([model, role, record]) =>
      typeof model === "string" && typeof role === "string" && isObject(record)
        ? { name: "machinelearning_predict", model, record: flat(record), role }
        : null,
    answer: (value) => value,
  },
};
