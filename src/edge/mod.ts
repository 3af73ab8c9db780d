export { runAgent } from "./agent.ts";
export type { Agent, AgentPorts, AgentStatus } from "./agent.ts";
export { loadAgentConfig } from "./config.ts";
export type { AgentConfig, AgentOverrides, SourceConfig, SystemSourceConfig } from "./config.ts";
export type { SourceStatus } from "./source.ts";
