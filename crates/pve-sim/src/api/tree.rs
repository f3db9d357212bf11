//! All paths of the API as a tree: which template fits a path, what its methods take, who handles them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use percent_encoding::percent_decode_str;

use super::call::Handler;
use super::routes;
use super::schema::{Access, Method, TABLE};

/// The tree, made once.
static TREE: LazyLock<Node> = LazyLock::new(make);

/// One part of a path.
#[derive(Default)]
struct Node {
    fixed: BTreeMap<&'static str, Self>,
    named: Option<Box<(&'static str, Self)>>,
    template: &'static str,
    methods: BTreeMap<&'static str, (&'static Method, Option<Handler>)>,
}

/// A method of a path that exists.
pub struct Found {
    /// The path with the names of its parts.
    pub template: &'static str,
    /// What it takes and asks for.
    pub method: &'static Method,
    /// What it does, if that is simulated.
    pub run: Option<Handler>,
    /// The parts of the path that have names.
    pub path: BTreeMap<&'static str, String>,
    /// The parts that may follow.
    pub children: Vec<&'static str>,
}

fn make() -> Node {
    let mut root = Node::default();
    for (path, methods) in &TABLE.paths {
        let node = path
            .split('/')
            .filter(|part| !part.is_empty())
            .fold(&mut root, Node::child);
        node.template = path;
        node.methods = methods
            .iter()
            .map(|(verb, method)| (*verb, (method, None)))
            .collect();
    }
    for (verb, path, run) in routes::all() {
        let node = path
            .split('/')
            .filter(|part| !part.is_empty())
            .fold(&mut root, Node::child);
        if let Some(known) = node.methods.get_mut(verb) {
            known.1 = Some(run);
        }
    }
    root
}

impl Node {
    fn child(&mut self, part: &'static str) -> &mut Self {
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None => self.fixed.entry(part).or_default(),
            Some(name) => {
                &mut self
                    .named
                    .get_or_insert_with(|| Box::new((name, Self::default())))
                    .1
            }
        }
    }
}

/// The parts of a path, decoded.
pub fn segments(path: &str) -> Vec<String> {
    let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    path.split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect()
}

/// Whether a call needs no login.
pub fn is_open(verb: &str, path: &str) -> bool {
    find(verb, &segments(path)).is_some_and(|found| found.method.access == Access::World)
}

/// The method of a path.
pub fn find(verb: &str, segments: &[String]) -> Option<Found> {
    let mut node = &*TREE;
    let mut path = BTreeMap::new();
    for segment in segments {
        node = match (node.fixed.get(segment.as_str()), &node.named) {
            (Some(child), _) => child,
            (None, Some(named)) => {
                path.insert(named.0, segment.clone());
                &named.1
            }
            (None, None) => return None,
        };
    }
    let (method, run) = node.methods.get(verb)?;
    Some(Found {
        template: node.template,
        method,
        run: *run,
        path,
        children: node.fixed.keys().copied().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_in_the_table() {
        for (verb, path, _) in routes::all() {
            let known = TABLE.paths.get(path).and_then(|methods| methods.get(verb));
            assert!(known.is_some(), "{verb} {path}");
        }
    }

    #[test]
    fn the_table_is_whole() {
        let methods = || TABLE.paths.values().flat_map(BTreeMap::values);
        assert_eq!(methods().count(), 661);
        let privileged = methods().filter(|method| matches!(method.access, Access::Check(_)));
        assert_eq!(privileged.count(), 500);
        let parts = methods().flat_map(|method| method.properties.values().chain(method.families.values()));
        let forms = TABLE.formats.values().flat_map(BTreeMap::values);
        for property in parts.chain(forms) {
            assert_eq!(property.like.is_some(), property.compiles(), "{property:?}");
            assert!(property.keys.is_none_or(|keys| TABLE.formats.contains_key(keys)));
        }
    }
}
