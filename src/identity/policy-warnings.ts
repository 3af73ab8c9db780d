/** Things in a valid document that surely do not do what their author meant. */
import { actionBit } from "./actions.ts";
import type { MqttAction } from "./actions.ts";
import type { PolicyDocument, Statement } from "./policy-document.ts";

/** Sentences for whoever puts the policy; empty where nothing is odd. */
export function policyWarnings(document: PolicyDocument): readonly string[] {
  return document.statements.flatMap((statement, index) => statementWarnings(statement, `Statement[${index}]`));
}

function statementWarnings(statement: Statement, where: string): readonly string[] {
  const warnings: string[] = [];
  const has = (action: MqttAction): boolean => (statement.actionBits & actionBit(action)) !== 0;
  const reaches = (kind: string): boolean => statement.resources.some((r) => r.kind === kind || r.kind === null);
  if (has("Subscribe") && !reaches("topicfilter")) {
    warnings.push(`${where}: iot:Subscribe is decided on topicfilter/… resources, and there is none`);
  }
  if ((has("Publish") || has("Receive")) && !reaches("topic")) {
    warnings.push(`${where}: iot:Publish and iot:Receive are decided on topic/… resources, and there is none`);
  }
  if (has("Connect") && !reaches("client")) {
    warnings.push(`${where}: iot:Connect is decided on client/… resources, and there is none`);
  }
  for (const { kind, text, pieces } of statement.resources) {
    if (kind === "topic" && pieces.some((piece) => piece.kind === "text" && /[+#]/.test(piece.text))) {
      warnings.push(`${where}: '${text}' holds + or #, which no topic name has; the wildcard of policies is *`);
    }
  }
  return warnings;
}
