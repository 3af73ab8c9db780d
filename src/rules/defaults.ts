import type { Severity } from "./alerts/model.ts";
import type { RuleDraft } from "./model.ts";

/** The rules of a fresh platform: every reading is stored, and a machine that is nearly full raises an alert. */
export function defaultRules(): RuleDraft[] {
  return [
    {
      ruleName: "tidewire_telemetry",
      description: "Stores every reading as time series",
      sql: "SELECT * FROM 'telemetry/#'",
      ruleDisabled: false,
      actions: [{ telemetry: {} }],
    },
    threshold("cpu_high", "CPU", "cpu.percent", "warning"),
    threshold("memory_high", "Memory", "memory.percent", "warning"),
    threshold("disk_high", "Disk", "disk.percent", "critical"),
  ];
}

function threshold(ruleName: string, what: string, field: string, severity: Severity): RuleDraft {
  return {
    ruleName,
    description: `${what} above 90 %`,
    sql: `SELECT ${field} AS percent, topic(2) AS thing, timestamp() AS receivedAt FROM 'telemetry/+/system' WHERE ${field} > 90`,
    ruleDisabled: false,
    actions: [
      {
        alert: {
          severity,
          summary: `${what} at \${round(${field})} % on \${thing}`,
          value: `\${round(${field})} %`,
          threshold: "90 %",
        },
      },
    ],
  };
}
