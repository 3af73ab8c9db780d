export { TopicSchemas } from "./schema-kind.ts";
