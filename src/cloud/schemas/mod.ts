export { TopicSchemas } from "./schema-kind.ts";
export { withUnits } from "./with-units.ts";
