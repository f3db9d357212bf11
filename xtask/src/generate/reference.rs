//! Reference pages of the kinds, from the schemas that the definitions carry.

use std::fmt::Write as _;

use crds::common::Actor;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// One page for each kind, and their index.
pub fn pages() -> Vec<(String, String)> {
    let mut index = String::from("# Kinds\n\nGenerated from the types; do not edit.\n\n");
    let mut pages = Vec::new();
    for (stem, definition) in crds::manifests::definitions() {
        let kind = &definition.spec.names.kind;
        let _ = writeln!(index, "* [{kind}]({stem}.md)");
        pages.push((format!("docs/reference/kinds/{stem}.md"), page(&definition)));
    }
    pages.push(("docs/reference/kinds/README.md".into(), index));
    pages.push(("docs/reference/reasons.md".into(), reasons()));
    pages
}

/// Every reason that a condition or a wait may carry, by who writes it.
fn reasons() -> String {
    let mut text = String::from(
        "# Reasons\n\nGenerated from the types; do not edit. Conditions, events and `status.waiting` carry one of these; the \
         message beside it is the sentence to act on.\n",
    );
    let operator = operator_core::reason::Reason::ALL;
    let operator = operator
        .iter()
        .map(|(reason, says)| (reason.as_str(), reason.actor(), *says));
    table(&mut text, "Of the operator", operator);
    let gateways = gateway_core::reason::Reason::ALL;
    let gateways = gateways
        .iter()
        .map(|(reason, says)| (reason.as_str(), reason.actor(), *says));
    table(&mut text, "Of the gateway controller", gateways);
    text
}

fn table(text: &mut String, title: &str, reasons: impl Iterator<Item = (&'static str, Actor, &'static str)>) {
    let _ = writeln!(
        text,
        "\n## {title}\n\n| reason | who can act | meaning |\n|--|--|--|"
    );
    for (reason, actor, meaning) in reasons {
        let _ = writeln!(text, "| `{reason}` | {actor:?} | {meaning} |");
    }
}

fn page(definition: &CustomResourceDefinition) -> String {
    let names = &definition.spec.names;
    let mut text = format!("# {}\n\nGenerated from the types; do not edit.\n", names.kind);
    let Some(version) = definition.spec.versions.first() else {
        return text;
    };
    let Some(schema) = version
        .schema
        .as_ref()
        .and_then(|s| s.open_api_v3_schema.as_ref())
    else {
        return text;
    };
    let _ = writeln!(text, "\n{}\n", one_line(schema.description.as_deref()));
    let short = names.short_names.clone().unwrap_or_default().join(", ");
    let _ = writeln!(
        text,
        "`{}/{}` · {} · short: {}\n",
        definition.spec.group, version.name, definition.spec.scope, short
    );
    rules(&mut text, "the object", schema);
    for part in ["spec", "status"] {
        let Some(props) = schema.properties.as_ref().and_then(|p| p.get(part)) else {
            continue;
        };
        let _ = writeln!(text, "## {part}\n\n{}\n", one_line(props.description.as_deref()));
        let _ = writeln!(text, "| field | type | default | meaning |\n|--|--|--|--|");
        rows(&mut text, "", props);
        text.push('\n');
        let mut found = String::new();
        nested_rules(&mut found, part, props);
        if !found.is_empty() {
            let _ = writeln!(text, "Rules:\n\n{found}");
        }
    }
    text
}

fn rows(text: &mut String, prefix: &str, schema: &JSONSchemaProps) {
    let required = schema.required.clone().unwrap_or_default();
    for (name, props) in schema.properties.iter().flatten() {
        let path = format!("{prefix}{name}");
        let item = items(props);
        let shape = item.unwrap_or(props);
        let mark = if required.contains(name) {
            " (required)"
        } else {
            ""
        };
        let default = props
            .default
            .as_ref()
            .map(|d| format!("`{}`", d.0))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "| `{path}`{mark} | {} | {default} | {} |",
            kind(props),
            one_line(props.description.as_deref())
        );
        if name != "conditions" {
            rows(
                text,
                &format!("{path}{}.", if item.is_some() { "[]" } else { "" }),
                shape,
            );
        }
    }
}

fn nested_rules(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    rules(text, path, schema);
    if let Some(item) = items(schema) {
        nested_rules(text, &format!("{path}[]"), item);
    }
    for (name, props) in schema.properties.iter().flatten() {
        nested_rules(text, &format!("{path}.{name}"), props);
    }
}

fn rules(text: &mut String, path: &str, schema: &JSONSchemaProps) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let _ = writeln!(
            text,
            "* `{path}`: {}",
            rule.message.as_deref().unwrap_or(&rule.rule)
        );
    }
}

fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match schema.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn kind(schema: &JSONSchemaProps) -> String {
    if let Some(values) = &schema.enum_ {
        let names: Vec<String> = values.iter().map(|v| v.0.to_string().replace('"', "`")).collect();
        return names.join(" ");
    }
    match (schema.type_.as_deref(), items(schema)) {
        (Some("array"), Some(item)) => format!("list of {}", kind(item)),
        (Some(name), _) => name.to_owned(),
        (None, _) => String::new(),
    }
}

fn one_line(text: Option<&str>) -> String {
    text.unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
