//! The schemas of the definitions, node by node, and values at their places.

use std::fmt;

use serde_json::{Value, json};

/// A step into an object or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Field(String),
    Item,
}

/// A place in a schema.
#[derive(Clone, Debug)]
pub struct Place {
    pub kind: String,
    pub steps: Vec<Step>,
    pub schema: Value,
    /// An object must have it.
    pub required: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path(|_| String::new()))
    }
}

impl Place {
    /// Whether it lies in this part, `spec` or `status`.
    pub fn within(&self, part: &str) -> bool {
        self.steps.first() == Some(&Step::Field(part.to_owned()))
    }

    /// The rules of this very place: expression and sentence.
    pub fn rules(&self) -> Vec<(String, String)> {
        let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
        let rules = self.schema["x-kubernetes-validations"].as_array();
        rules
            .into_iter()
            .flatten()
            .map(|rule| (text(rule, "rule"), text(rule, "message")))
            .collect()
    }

    /// The path as the API server names it in this object; of a list always the last item.
    pub fn path_in(&self, object: &Value) -> String {
        self.path(|steps| (length(object, steps).max(1) - 1).to_string())
    }

    fn path(&self, index: impl Fn(&[Step]) -> String) -> String {
        let mut path = String::new();
        for (n, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Item => path.extend(["[", &index(&self.steps[..n]), "]"]),
            }
        }
        path
    }

    /// A copy of the object with this value here, or without it; of a list the last item.
    pub fn set(&self, object: &Value, value: Option<Value>) -> Value {
        let mut copy = object.clone();
        let (last, way) = self.steps.split_last().expect("not the root");
        let holder = enter(&mut copy, way);
        match (last, value) {
            (Step::Field(name), Some(value)) => holder[name] = value,
            (Step::Field(name), None) => drop(holder.as_object_mut().expect("object").remove(name)),
            (Step::Item, value) => {
                let items = items(holder);
                items.pop();
                items.extend(value);
            }
        }
        copy
    }

    /// The value here, if the object has one; of a list the last item.
    pub fn get<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        look(object, &self.steps)
    }
}

fn items(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("a list")
}

fn enter<'a>(value: &'a mut Value, steps: &[Step]) -> &'a mut Value {
    let Some((first, rest)) = steps.split_first() else {
        return value;
    };
    let inner = match first {
        Step::Field(name) => &mut value[name],
        Step::Item => {
            let items = items(value);
            if items.is_empty() {
                items.push(json!({}));
            }
            items.last_mut().expect("an item")
        }
    };
    enter(inner, rest)
}

fn look<'a>(value: &'a Value, steps: &[Step]) -> Option<&'a Value> {
    let Some((first, rest)) = steps.split_first() else {
        return Some(value);
    };
    let inner = match first {
        Step::Field(name) => value.get(name)?,
        Step::Item => value.as_array()?.last()?,
    };
    look(inner, rest)
}

fn length(object: &Value, steps: &[Step]) -> usize {
    look(object, steps).and_then(Value::as_array).map_or(0, Vec::len)
}

/// Every definition as JSON, by kind.
pub fn definitions() -> Vec<(String, Value)> {
    let all = crds::manifests::definitions().into_iter();
    all.map(|(_, crd)| {
        (
            crd.spec.names.kind.clone(),
            serde_json::to_value(crd).expect("JSON"),
        )
    })
    .collect()
}

/// Every place of every kind's schema, the root, `metadata` and what is in them left out.
pub fn places() -> Vec<Place> {
    let mut found = Vec::new();
    for (kind, crd) in definitions() {
        let root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        for part in ["spec", "status"] {
            let steps = vec![Step::Field(part.to_owned())];
            descend(
                &Place {
                    kind: kind.clone(),
                    steps,
                    schema: root["properties"][part].clone(),
                    required: part == "spec",
                },
                &mut found,
            );
        }
    }
    found
}

/// The rules on a kind's whole object: expression, sentence and the place they name.
pub fn root_rules() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (kind, crd) in definitions() {
        let rules =
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"].clone();
        for rule in rules.as_array().into_iter().flatten() {
            let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            found.push((
                kind.clone(),
                text("fieldPath").trim_start_matches('.').to_owned(),
                text("message"),
            ));
        }
    }
    found
}

fn descend(place: &Place, found: &mut Vec<Place>) {
    found.push(place.clone());
    let required = place.schema["required"].as_array().cloned().unwrap_or_default();
    let inner = |step: Step, schema: &Value, required: bool| Place {
        kind: place.kind.clone(),
        steps: place.steps.iter().cloned().chain([step]).collect(),
        schema: schema.clone(),
        required,
    };
    for (name, schema) in place.schema["properties"].as_object().into_iter().flatten() {
        let needed = required.contains(&json!(name));
        descend(&inner(Step::Field(name.clone()), schema, needed), found);
    }
    if place.schema["items"].is_object() {
        descend(&inner(Step::Item, &place.schema["items"], false), found);
    }
}
