//! Reading of what Proxmox sends: numbers may be texts, flags numbers, fields missing, values new.
//!
//! A strange field is read as missing; it never fails the whole answer.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A scalar as text, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scalar(pub(crate) Option<String>);

struct Scalars;

impl<'de> Visitor<'de> for Scalars {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_owned())))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(Some(u8::from(value).to_string())))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar(Some(value.to_string())))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_none<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar(None))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Scalars)
    }
}

impl Scalar {
    fn number(&self) -> Option<f64> {
        self.0
            .as_ref()?
            .trim()
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
    }

    /// A whole number that is not negative.
    pub(crate) fn whole(&self) -> Option<u64> {
        let text = self.0.as_ref()?.trim();
        if let Ok(number) = text.parse() {
            return Some(number);
        }
        // Statistics come as floats now and then; the part after the point does not matter.
        text.split_once(['.', 'e'])
            .filter(|_| !text.contains('e'))
            .and_then(|(whole, _)| whole.parse().ok())
    }
}

/// One object of an answer, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Row(BTreeMap<String, Scalar>);

impl Row {
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.0.get(key)?.0.clone()
    }

    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.whole()
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        self.0.get(key)?.number()
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.number(key).is_some_and(|number| number != 0.0)
    }

    /// Every field that has a value.
    pub(crate) fn into_texts(self) -> BTreeMap<String, String> {
        self.0
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.0?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Row {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_come_as_numbers_texts_and_floats() {
        let row = row(
            r#"{"a":1,"b":"2","c":3.9,"d":-4,"e":"x","f":null,"g":[1,{"h":2}],"i":{"j":[]},"k":true,"l":1e3}"#,
        );
        let whole = |key| row.whole(key);
        assert_eq!(
            (whole("a"), whole("b"), whole("c"), whole("k")),
            (Some(1), Some(2), Some(3), Some(1))
        );
        for key in ["d", "e", "f", "g", "i", "none"] {
            assert_eq!(row.whole(key), None, "{key}");
        }
        assert_eq!(
            (row.number("d"), row.number("l"), row.number("e")),
            (Some(-4.0), Some(1000.0), None)
        );
    }

    #[test]
    fn flags_are_true_only_when_set() {
        let row = row(r#"{"a":1,"b":"1","c":true,"d":0,"e":"0","f":false,"g":null,"h":""}"#);
        let set: Vec<bool> = ["a", "b", "c", "d", "e", "f", "g", "h", "i"]
            .into_iter()
            .map(|k| row.flag(k))
            .collect();
        assert_eq!(set, [true, true, true, false, false, false, false, false, false]);
    }

    #[test]
    fn texts_keep_what_has_a_value() {
        let texts = row(r#"{"cores":2,"memory":"512","x":null,"name":"a"}"#).into_texts();
        let want =
            [("cores", "2"), ("memory", "512"), ("name", "a")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(texts, BTreeMap::from(want));
    }
}
