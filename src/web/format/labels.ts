/** Names for people from the names that devices use. */

const KNOWN: Readonly<Record<string, string>> = {
  "cpu.percent": "CPU",
  "load.m1": "Load",
  "load.m5": "Load, 5 min",
  "load.m15": "Load, 15 min",
  "memory.percent": "Memory",
  "disk.percent": "Disk",
  "network.rxBytesPerSecond": "Received",
  "network.txBytesPerSecond": "Sent",
  "temperature.celsius": "Temperature",
  "uptime.seconds": "Uptime",
};

const UNIT_WORDS = /(BytesPerSecond|Bytes|Percent|Celsius|Seconds|Millis)$/;
/** A last level that only names the unit: `boiler.celsius`. */
const UNIT_LEVEL = /\.(bytesPerSecond|bytes|percent|celsius|seconds|millis)$/;
const ABBREVIATIONS = new Set(["cpu", "gpu", "ip", "id", "rssi", "co2", "voc", "ph", "uv", "rpm", "gps", "rx", "tx"]);

/** `cpu.percent` → `CPU`, `airPressure` → `Air pressure`, `room.airPressure` → `Room air pressure`. */
export function fieldLabel(field: string): string {
  const known = KNOWN[field];
  if (known !== undefined) return known;
  return sentence(field.replace(UNIT_LEVEL, "").replace(UNIT_WORDS, "").replace(/\.$/, "") || field);
}

/** Label of one line among siblings: only what tells it from them. */
export function leafLabel(field: string): string {
  const core = /(?:^|\.)core(\d+)$/.exec(field);
  if (core !== null) return `Core ${core[1]}`;
  const known = KNOWN[field];
  if (known !== undefined) return known;
  const leaf = field.slice(field.lastIndexOf(".") + 1);
  return sentence(leaf.replace(UNIT_WORDS, "") || leaf);
}

function sentence(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .split(/[\s._-]+/)
    .filter((word) => word !== "")
    .map((word) => (ABBREVIATIONS.has(word.toLowerCase()) ? word.toUpperCase() : word.toLowerCase()));
  const text = words.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `1 thing`, `2 things`. */
export function plural(count: number, singular: string, many = `${singular}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? singular : many}`;
}
