import { toBase64 } from "../base64.ts";
import { literalText } from "./function.ts";
import type { SqlFunction } from "./function.ts";

const NAMES: readonly string[] = ["content_type", "response_topic", "correlation_data", "format_indicator"];

export const getMqttPropertyFunction: SqlFunction = {
  name: "get_mqtt_property",
  group: "message",
  since: "2016-03-23",
  signature: "get_mqtt_property(name)",
  summary:
    "A property of an MQTT 5 message: content_type, response_topic, correlation_data (base64) or format_indicator.",
  examples: [
    ["get_mqtt_property('content_type')", '"application/json"'],
    ["get_mqtt_property('format_indicator')", '"UTF8_DATA"'],
    ["get_mqtt_property('response_topic')", "Undefined"],
  ],
  argsMin: 1,
  argsMax: 1,
  pure: false,
  check(args) {
    const name = literalText(args, 0);
    if (name === null || NAMES.includes(name)) return null;
    return {
      argument: 0,
      reason: `there is no property '${name.slice(0, 40)}'`,
      hint: `There are ${NAMES.join(", ")}.`,
    };
  },
  call([name], { properties }) {
    if (properties === undefined || properties === null) return undefined;
    if (name === "content_type") return properties.contentType;
    if (name === "response_topic") return properties.responseTopic;
    if (name === "correlation_data") return properties.correlationData && toBase64(properties.correlationData);
    if (name !== "format_indicator" || properties.payloadFormat === undefined) return undefined;
    return properties.payloadFormat === 1 ? "UTF8_DATA" : "UNSPECIFIED_BYTES";
  },
};
