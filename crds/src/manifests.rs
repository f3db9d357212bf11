//! All manifests of this crate, in a fixed order: what `xtask gen` writes and tests install.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use crate::{Account, Contract, Gateway, Machine, Offering, Pool, Provider, Slot};

/// Every custom resource definition, by file stem.
#[must_use]
pub fn definitions() -> Vec<(&'static str, CustomResourceDefinition)> {
    let mut all = vec![
        ("accounts", Account::crd()),
        ("contracts", Contract::crd()),
        ("gateways", named(Gateway::crd())),
        ("machines", Machine::crd()),
        ("offerings", Offering::crd()),
        ("pools", Pool::crd()),
        ("providers", named(Provider::crd())),
        ("slots", named(Slot::crd())),
    ];
    for root in all.iter_mut().flat_map(|(_, definition)| roots(definition)) {
        precise(root);
    }
    all
}

fn roots(definition: &mut CustomResourceDefinition) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let schemas = definition
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut());
    schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut())
}

/// Drops the format of integers that have a rule or bound: a refusal for the format doesn't name the field.
fn precise(schema: &mut JSONSchemaProps) {
    if schema.format.as_deref() == Some("int32")
        && (schema.x_kubernetes_validations.is_some() || schema.maximum.is_some())
    {
        schema.format = None;
    }
    schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
        .for_each(precise);
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &mut schema.items {
        precise(item);
    }
}

/// Declares `metadata.name`, so that a rule about it can say so in its refusals.
fn named(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let text = |name: &str| JSONSchemaProps {
        type_: Some(name.into()),
        ..JSONSchemaProps::default()
    };
    let name = JSONSchemaProps {
        max_length: Some(253),
        ..text("string")
    };
    let metadata = JSONSchemaProps {
        properties: Some([("name".into(), name)].into()),
        ..text("object")
    };
    for root in roots(&mut definition) {
        root.properties
            .get_or_insert_default()
            .insert("metadata".into(), metadata.clone());
    }
    definition
}
