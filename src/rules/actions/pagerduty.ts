/** An event for PagerDuty. Source: PagerDuty's Events API v2; contracts.md section 4. */
import { kib, seconds } from "../../base/mod.ts";
import type { JsonObject } from "../../base/mod.ts";
import { DONE, dead } from "../delivery/sender.ts";
import { failureOfHttp } from "../delivery/verdict.ts";
import type { Notification } from "../alerts/notification.ts";
import { alertText } from "./alert-text.ts";
import { httpUrl, invalid, only, optionalChoice, optionalTemplate, present, template, text } from "./checks.ts";
import type { ActionKind, Carrier } from "./kind.ts";
import { JSON_TYPE, encodeJson, jsonBody, shortened, textOf } from "./rendering.ts";

export interface PagerdutyBody {
  /** Of the service's integration, 32 characters. */
  readonly routingKey: string;
  /** Templates. Events with the same key are one incident. */
  readonly summary: string;
  readonly dedupKey?: string;
  readonly event?: PagerdutyEvent;
  readonly severity?: PagerdutySeverity;
  readonly source?: string;
  /** Of another region: https://events.eu.pagerduty.com/v2/enqueue. */
  readonly url?: string;
}

const EVENTS = ["trigger", "acknowledge", "resolve"] as const;
type PagerdutyEvent = (typeof EVENTS)[number];
const SEVERITIES = ["critical", "error", "warning", "info"] as const;
type PagerdutySeverity = (typeof SEVERITIES)[number];

const URL_DEFAULT = "https://events.pagerduty.com/v2/enqueue";
const SUMMARY_CHARS_MAX = 1024;
const DEDUP_KEY_CHARS_MAX = 255;

const carrier: Carrier = {
  name: "pagerduty",
  batchMax: 1,
  batchBytesMax: kib(512),
  linger: 0,
  concurrency: 1,
  timeout: seconds(15),
  ordered: true, // a "resolve" must not overtake its "trigger"
  http: {
    // The routing key joins only here, so that no waiting delivery holds it.
    request(settings, [parcel]) {
      const { url, routingKey } = settings as { url: string; routingKey: string };
      const event = JSON.parse(new TextDecoder().decode(parcel!.body)) as JsonObject;
      return { url, headers: JSON_TYPE, body: encodeJson({ routing_key: routingKey, ...event }) };
    },
    verdict(response, now) {
      if (response.status === 202) return DONE;
      return response.status < 300 ? dead(`HTTP ${response.status}, but not 202`) : failureOfHttp(response, now);
    },
  },
};

export const pagerduty: ActionKind<PagerdutyBody> = {
  name: "pagerduty",
  carrier,
  validate(given, at) {
    only(given, at, ["routingKey", "summary", "dedupKey", "event", "severity", "source", "url"]);
    const routingKey = text(given["routingKey"], `${at}.routingKey`, 64);
    if (!/^[0-9A-Za-z]{32}$|^\*\*\*$/.test(routingKey))
      throw invalid(`${at}.routingKey`, "it has 32 letters and digits");
    return present({
      routingKey,
      summary: template(given["summary"], `${at}.summary`),
      dedupKey: optionalTemplate(given["dedupKey"], `${at}.dedupKey`),
      event: optionalChoice(given["event"], `${at}.event`, EVENTS),
      severity: optionalChoice(given["severity"], `${at}.severity`, SEVERITIES),
      source: optionalTemplate(given["source"], `${at}.source`),
      url: given["url"] === undefined ? undefined : httpUrl(given["url"], `${at}.url`),
    });
  },
  mapSecrets: (body, change) => ({ ...body, routingKey: change(body.routingKey, "***", "routingKey") }),
  plan({ routingKey, summary, dedupKey, event = "trigger", severity = "error", source, url = URL_DEFAULT }, scope) {
    const summaryOf = textOf(summary, scope);
    // Without a key of the user's, what one thing's rule says is one incident.
    const keyOf = textOf(dedupKey ?? "${rule}/${thing}", scope);
    const sourceOf = textOf(source ?? "${thing}", scope);
    return {
      settings: { url, routingKey },
      label: new URL(url).origin,
      render: (match) =>
        jsonBody({
          event_action: event,
          dedup_key: keyOf(match).slice(0, DEDUP_KEY_CHARS_MAX),
          payload: {
            summary: shortened(summaryOf(match), SUMMARY_CHARS_MAX),
            source: sourceOf(match),
            severity,
            timestamp: new Date(match.input.receivedAt).toISOString(),
            ...(match.value instanceof Uint8Array ? {} : { custom_details: match.value }),
          },
        }),
    };
  },
  edits: () => "follows",
  announce(_, notification) {
    const about = alertText(notification);
    const { group, links } = notification;
    const acknowledged = group.firing > 0 && group.acknowledged === group.firing;
    const named = links === null ? [] : [{ href: links.alert, text: "Alert" }];
    // PagerDuty shows pictures by https only.
    const picture = links !== null && links.picture?.startsWith("https:") === true ? links.picture : null;
    return jsonBody({
      event_action: about.raised ? (acknowledged ? "acknowledge" : "trigger") : "resolve",
      dedup_key: incidentOf(notification).slice(-DEDUP_KEY_CHARS_MAX),
      payload: {
        summary: shortened(about.summary, SUMMARY_CHARS_MAX),
        source: about.thing ?? "tidewire",
        severity: about.severity,
        timestamp: new Date(about.at).toISOString(),
        ...(about.rule === null ? {} : { group: about.rule }),
        custom_details: { ...detailsOf(notification), lines: about.lines },
      },
      ...(picture === null ? {} : { images: [{ src: picture, href: links!.alert, alt: "Chart" }] }),
      links: [...named, ...(links === null || links.chart === null ? [] : [{ href: links.chart, text: "Chart" }])],
    });
  },
};

/** One incident per group; where each alert goes by itself, that is the alert. */
function incidentOf({ alerts, group }: Notification): string {
  const alone = alerts.length === 1 && group.labels["id"] !== undefined ? alerts[0]! : null;
  return alone?.id ?? group.id;
}

function detailsOf({ alerts, group }: Notification): object {
  return alerts.length === 1 ? { ...alerts[0]! } : { ...group };
}
