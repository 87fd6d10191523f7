import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.introspect.BeanPropertyDefinition;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Prints the JSON Schemas of classes of Strimzi's API: the properties that Jackson reads. Which of them only an old
 * version has cannot be seen here, because Strimzi publishes the classes without the types of these annotations.
 */
class StrimziSchemas {
    static final ObjectMapper MAPPER = new ObjectMapper();
    static final Map<String, Object> DEFINITIONS = new TreeMap<>();

    public static void main(String[] names) throws Exception {
        Map<String, Object> kinds = new TreeMap<>();
        for (String name : names) {
            Class<?> each = Class.forName(name);
            kinds.put("kafka.strimzi.io/v1/" + each.getSimpleName(), bean(MAPPER.constructType(each), null));
        }
        Map<String, Object> found = new TreeMap<>();
        found.put("kinds", kinds);
        found.put("definitions", DEFINITIONS);
        System.out.println(MAPPER.writeValueAsString(found));
    }

    static Object schema(JavaType type) throws Exception {
        Class<?> raw = type.getRawClass();
        if (raw.isEnum()) {
            List<Object> values = new ArrayList<>();
            for (Object each : raw.getEnumConstants()) {
                values.add(MAPPER.convertValue(each, Object.class));
            }
            return Map.of("enum", values);
        }
        if (type.isCollectionLikeType() || type.isArrayType()) {
            return Map.of("type", "array", "items", schema(type.getContentType()));
        }
        if (type.isMapLikeType()) {
            return Map.of("type", "object", "additionalProperties", schema(type.getContentType()));
        }
        if (raw == String.class) {
            return Map.of("type", "string");
        }
        if (raw == boolean.class || raw == Boolean.class) {
            return Map.of("type", "boolean");
        }
        if (raw == int.class || raw == Integer.class || raw == long.class || raw == Long.class) {
            return Map.of("type", "integer");
        }
        if (raw == double.class || raw == Double.class || raw == float.class || raw == Float.class) {
            return Map.of("type", "number");
        }
        if (raw == Object.class) {
            return Map.of();
        }
        if (raw.getName().endsWith(".Quantity") || raw.getName().endsWith(".IntOrString")) {
            return Map.of("type", List.of("integer", "number", "string"));
        }
        String name = raw.getSimpleName();
        if (!DEFINITIONS.containsKey(name)) {
            DEFINITIONS.put(name, Map.of()); // a class may contain itself
            JsonSubTypes subtypes = raw.getAnnotation(JsonSubTypes.class);
            if (subtypes == null) {
                DEFINITIONS.put(name, bean(type, null));
            } else {
                List<Object> each = new ArrayList<>();
                for (JsonSubTypes.Type subtype : subtypes.value()) {
                    each.add(bean(MAPPER.constructType(subtype.value()), subtype.name()));
                }
                DEFINITIONS.put(name, Map.of("oneOf", each));
            }
        }
        return Map.of("$ref", "#/definitions/" + name);
    }

    /** `tag`: the value of `type` that selects this class among its siblings. */
    static Map<String, Object> bean(JavaType type, String tag) throws Exception {
        Map<String, Object> properties = new TreeMap<>();
        List<String> required = new ArrayList<>();
        for (BeanPropertyDefinition each : MAPPER.getDeserializationConfig().introspect(type).findProperties()) {
            properties.put(each.getName(), schema(each.getPrimaryType()));
            if (each.isRequired()) {
                required.add(each.getName());
            }
        }
        if (tag != null) {
            properties.put("type", Map.of("const", tag));
            required.add("type");
        }
        Map<String, Object> found = new TreeMap<>();
        found.put("type", "object");
        found.put("properties", properties);
        found.put("additionalProperties", false);
        if (!required.isEmpty()) {
            found.put("required", required);
        }
        return found;
    }
}
