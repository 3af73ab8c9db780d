/** AWS IoT's own way to say it: the same request as a webhook's, without a signature. Values of headers may be templates. */
import { headers, httpUrl, invalid, isHeaderValue, only, present, record, template, text } from "./checks.ts";
import type { ActionKind } from "./kind.ts";
import { textOf } from "./rendering.ts";
import { contentType, webhookCarrier, webhookPlan } from "./webhook.ts";

export interface HttpBody {
  readonly url: string;
  /** AWS asks there before it sends; whoever writes the rule here answers for the address. Kept only. */
  readonly confirmationUrl?: string;
  readonly headers?: readonly HttpHeader[];
}

interface HttpHeader {
  readonly key: string;
  readonly value: string;
}

export const http: ActionKind<HttpBody> = {
  name: "http",
  carrier: webhookCarrier,
  validate(given, at) {
    only(given, at, ["url", "confirmationUrl", "headers"]);
    const { url, confirmationUrl } = given;
    if (typeof url === "string" && url.includes("${")) {
      throw invalid(`${at}.url`, "an address cannot hold ${…} here; a header or the SELECT can");
    }
    return present({
      url: httpUrl(url, `${at}.url`),
      confirmationUrl: confirmationUrl === undefined ? undefined : httpUrl(confirmationUrl, `${at}.confirmationUrl`),
      headers: given["headers"] === undefined ? undefined : pairs(given["headers"], `${at}.headers`),
    });
  },
  mapSecrets(body, change) {
    if (body.headers === undefined) return body;
    return { ...body, headers: body.headers.map(({ key, value }) => ({ key, value: change(value, "***", key) })) };
  },
  plan({ url, headers: named = [] }, scope) {
    const fixed = named.filter(({ value }) => !value.includes("${"));
    const changing = named.filter(({ value }) => value.includes("${"));
    const texts = changing.map(({ key, value }) => [key.toLowerCase(), textOf(value, scope)] as const);
    const body = { url, headers: Object.fromEntries(fixed.map(({ key, value }) => [key, value])) };
    return webhookPlan(body, (match) => {
      if (texts.length === 0) return contentType(match);
      const fields: Record<string, string> = { ...contentType(match) };
      for (const [key, text] of texts) fields[key] = clean(text(match));
      return fields;
    });
  },
};

function pairs(input: unknown, at: string): HttpHeader[] {
  if (!Array.isArray(input)) throw invalid(at, "it must be a list of objects with key and value");
  return input.map((header, i) => {
    const where = `${at}[${i}]`;
    const { key, value } = record(header, where);
    const name = text(key, `${where}.key`, 128);
    headers({ [name]: value }, at);
    if (String(value).includes("${")) template(value, `${where}.value`);
    return { key: name, value: value as string };
  });
}

/** What a message brings in must not end the header, nor fail the request. */
function clean(value: string): string {
  return isHeaderValue(value) ? value : value.replaceAll(/[^\x20-\x7e\t]/g, "?").slice(0, 2048);
}
