//! Field names in either spelling: `unit_price` is `unitPrice`.

use std::fmt::Write as _;

use serde::de::{Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What is below these fields is the client's own, and its names are kept.
const FREE_FORM: [&str; 2] = ["metadata", "properties"];
/// How deep a document may be.
const DEPTH_MAX: u32 = 64;

/// The `camelCase` spelling of a field name.
pub(crate) fn camel_case(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        if character == '_' && !result.is_empty() {
            raise = true;
        } else if raise {
            result.extend(character.to_uppercase());
            raise = false;
        } else {
            result.push(character);
        }
    }
    result
}

/// Writes a JSON document with the names of its fields in `camelCase`; everything else stays as it is written.
pub(crate) fn write_camel_case(document: &str, out: &mut String) -> serde_json::Result<()> {
    write_value(document, out, DEPTH_MAX)
}

fn write_value(text: &str, out: &mut String, depth: u32) -> serde_json::Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(serde_json::Error::custom("it is too deep"));
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match text.trim_start().as_bytes().first() {
        Some(b'{') => deserializer.deserialize_map(Rename { out, depth }),
        Some(b'[') => deserializer.deserialize_seq(Rename { out, depth }),
        _ => {
            out.push_str(text);
            Ok(())
        }
    }
}

/// Copies one object or array.
struct Rename<'o> {
    out: &'o mut String,
    depth: u32,
}

impl<'de> Visitor<'de> for Rename<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.out.push('{');
        let mut comma = "";
        while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
            let name = camel_case(&name);
            let quoted = serde_json::to_string(&name).map_err(A::Error::custom)?;
            // Writing into a string does not fail.
            let _ = write!(self.out, "{comma}{quoted}:");
            comma = ",";
            if FREE_FORM.contains(&name.as_str()) {
                self.out.push_str(value.get());
            } else {
                write_value(value.get(), self.out, self.depth).map_err(A::Error::custom)?;
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.out.push('[');
        let mut comma = "";
        while let Some(value) = items.next_element::<&RawValue>()? {
            self.out.push_str(comma);
            comma = ",";
            write_value(value.get(), self.out, self.depth).map_err(A::Error::custom)?;
        }
        self.out.push(']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_and_values_do_not() {
        let mut out = String::new();
        write_camel_case(
            r#" {"unit_price": 1.10, "a":["snake_case", {"b_c":null}], "metadata":{"call_sid": "x"}} "#,
            &mut out,
        )
        .unwrap();
        assert_eq!(
            out,
            r#"{"unitPrice":1.10,"a":["snake_case",{"bC":null}],"metadata":{"call_sid": "x"}}"#
        );
    }

    #[test]
    fn a_bottomless_document_is_refused() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(write_camel_case(&deep, &mut String::new()).is_err());
    }

    #[test]
    fn leading_underscores_are_no_separators() {
        assert_eq!(camel_case("_id"), "_id");
        assert_eq!(camel_case("p_tenant_id"), "pTenantId");
        assert_eq!(camel_case("perMinute"), "perMinute");
    }
}
