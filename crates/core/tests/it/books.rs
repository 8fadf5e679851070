//! Books of an organization that moves in: the schema and the parser take the same ones.

use serde_json::{Value, json};
use tollbook_core::moving::{Book, SCHEMA};

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The example of the documentation.
fn example() -> Value {
    let text = include_str!("../../../../docs/moving-in.md");
    let (_, rest) = text.split_once("```json\n").unwrap();
    let (book, _) = rest.split_once("```").unwrap();
    serde_json::from_str(book).unwrap()
}

fn taken(book: &Value) -> (bool, bool) {
    let text = serde_json::to_vec(book).unwrap();
    (schema().is_valid(book), Book::read(&text).is_ok())
}

#[test]
fn the_example_is_a_book_for_both() {
    assert_eq!(taken(&example()), (true, true));
    let text = serde_json::to_vec(&example()).unwrap();
    let book = Book::read(&text).unwrap();
    assert_eq!(book.next_number.unwrap().sequence(), 124);
    assert_eq!(book.customers[0].invoices[0].open.amount(), "50.00");
}

#[test]
fn what_both_can_tell_is_refused_by_both() {
    for (place, value) in [
        ("/format", json!("tollbook.book/2")),
        ("/nextInvoiceNumber", json!("124")),
        ("/customers/0/key", json!("")),
        ("/customers/0/numbers/0", json!("12")),
        ("/customers/0/tax/percent", json!("ten")),
        ("/customers/0/contacts/0/name", json!("")),
        ("/customers/0/subscription/plan", json!([])),
        ("/customers/0/subscription/anchorOn", json!("soon")),
        ("/customers/0/subscription/used/0/quantity", json!("1,5")),
        ("/customers/0/invoices/0/currency", json!("usd")),
        ("/customers/0/invoices/0", json!({"number": "A-1"})),
        ("/customers/1/credit/0/amount", json!("")),
        ("/customers/1/wallet/0/expiresOn", json!("later")),
        ("/customers/1", json!({"key": "C-1002", "phone": "1"})),
    ] {
        let mut book = example();
        *book.pointer_mut(place).unwrap() = value;
        assert_eq!(taken(&book), (false, false), "{place}");
    }
}
