/** What a pre-provisioning hook decides. Whatever is not plainly a yes is a no. */
import { LIMITS, encodeUtf8, isJsonObject, parseJson, reasonOf } from "../../base/mod.ts";
import type { HookInput, HookRunner } from "./ports.ts";
import { ProvisioningRefusal } from "./refusal.ts";

/** The parameters that the hook overrides. Throws `ProvisioningRefusal` ACCESS_DENIED. */
export async function askHook(
  hooks: HookRunner,
  target: string,
  input: HookInput,
): Promise<Readonly<Record<string, string>>> {
  let text: string;
  try {
    text = await hooks.run(target, input);
  } catch (error) {
    throw denied(`the hook gave no answer (${reasonOf(error)})`, error);
  }
  const { hookAnswerBytesMax } = LIMITS.provisioning;
  const parsed = parseJson(encodeUtf8(text), { jsonBytesMax: hookAnswerBytesMax, jsonDepthMax: 4 });
  if (!parsed.ok || !isJsonObject(parsed.value)) throw denied("the hook's answer is no JSON object");
  const { allowProvisioning, parameterOverrides = {} } = parsed.value;
  if (allowProvisioning === false) throw denied("the hook said no");
  if (allowProvisioning !== true) throw denied("the hook's answer has no allowProvisioning of true or false");
  if (!isJsonObject(parameterOverrides)) throw denied("the hook's parameterOverrides are no object");
  const overrides: Record<string, string> = {};
  for (const [name, value] of Object.entries(parameterOverrides)) {
    if (typeof value !== "string") throw denied(`the hook's parameterOverrides.${name} is no string`);
    overrides[name] = value;
  }
  return overrides;
}

/** The device is told no more than AWS tells it; the reason is for the log. */
function denied(reason: string, cause?: unknown): ProvisioningRefusal {
  return new ProvisioningRefusal("hook", "ACCESS_DENIED", `Provisioning was denied: ${reason}`, { cause });
}
