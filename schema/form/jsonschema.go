package form

import (
	"encoding/json"
	"strings"
)

// JSONSchema is the schema as JSON Schema, draft 2020-12, whose root is one of its forms.
// Source: https://json-schema.org/draft/2020-12/json-schema-validation
func (s Schema) JSONSchema(root *Form) map[string]any {
	defs := map[string]any{}
	for name, f := range s {
		defs[name] = described(f.json(), f.Doc)
	}
	return map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "edgewright " + root.Name, "$ref": "#/$defs/" + root.Name, "$defs": defs}
}

// refer is a reference to a form with a name, or the form itself.
func (f *Form) refer() map[string]any {
	if f.Name != "" {
		return map[string]any{"$ref": "#/$defs/" + f.Name}
	}
	return f.json()
}

func (f *Form) json() map[string]any {
	switch f.Kind {
	case Group:
		return f.jsonGroup()
	case List:
		return map[string]any{"type": "array", "items": f.Items.refer()}
	case Text:
		out := map[string]any{"type": "string"}
		if f.Pattern != nil {
			out["pattern"] = strings.TrimPrefix(f.Pattern.String(), "(?s)")
		}
		if len(f.Choices) > 0 {
			out["enum"] = f.Choices
		}
		return explained(out, f)
	case Number:
		return explained(f.jsonNumber(), f)
	case Flag:
		return map[string]any{"type": "boolean"}
	}
	return map[string]any{}
}

func (f *Form) jsonGroup() map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, name := range f.Order {
		field := f.Fields[name]
		properties[name] = described(field.Form.refer(), field.Doc)
		if field.Required {
			required = append(required, name)
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false}
	if len(properties) > 0 {
		out["properties"] = properties
	}
	if len(required) > 0 {
		out["required"] = required
	}
	if f.Keys != nil {
		out["patternProperties"] = map[string]any{f.Keys.Pattern.String(): f.Values.refer()}
	}
	return out
}

func (f *Form) jsonNumber() map[string]any {
	out := map[string]any{"type": "number"}
	if f.Whole {
		out["type"] = "integer"
	}
	if f.Min != nil {
		out["minimum"] = *f.Min
	}
	if f.Max != nil {
		out["maximum"] = *f.Max
	}
	if len(f.Choices) > 0 {
		numbers := make([]json.Number, len(f.Choices))
		for i, c := range f.Choices {
			numbers[i] = json.Number(c)
		}
		out["enum"] = numbers
	}
	return out
}

// explained tells editors what the schema says about values that do not fit.
func explained(out map[string]any, f *Form) map[string]any {
	if f.Message != "" {
		out["errorMessage"] = f.Message
	}
	return out
}

func described(out map[string]any, doc string) map[string]any {
	if doc != "" {
		out["description"] = doc
	}
	return out
}
