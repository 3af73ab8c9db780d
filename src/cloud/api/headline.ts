/** The few values by which a thing is judged at a glance: `measurement/field`. */
export const HEADLINE_FIELDS: readonly string[] = [
  "system/cpu.percent",
  "system/memory.percent",
  "system/disk.percent",
  "system/temperature.celsius",
];
