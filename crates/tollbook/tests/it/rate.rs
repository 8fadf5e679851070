//! `tollbook rate`: files in, charges out, no database.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::support::desk::{Desk, calls, text};

const SUPPORT: &str = r#"{"currency":"USD","baseFee":120,
 "calendar":{"zone":"America/New_York","otherwise":"after_hours","rules":[
   {"band":"business","days":["mon","tue","wed","thu","fri"],"from":"09:00","to":"17:00"}]},
 "prices":[
   {"key":"support","meter":"CALL_DURATION_SECONDS","increment":"30/6","connectionFee":"0.25",
    "rate":{"per_unit":{"price":"1.20","per":60}},
    "bands":[{"band":"after_hours","rate":{"per_unit":{"price":"3","per":60}},"drawsOnAllowance":false}]},
   {"key":"sms","meter":"SMS_SENT","rate":{"cost_plus":{"percent":20}}}],
 "allowances":[{"key":"hours","meters":["CALL_DURATION_SECONDS"],"quantity":100,"rollover":{"cycles":1,"cap":40}}]}"#;

const CALLS: &str = "id,direction,from,to,started_at,answered_at,ended_at,meter,quantity,provider_cost
c1,incoming,+12125550123,+12125550199,2026-01-05T15:00:00Z,2026-01-05T15:00:05Z,2026-01-05T15:01:10Z,,,
c2,incoming,,+12125550199,2026-01-05T21:58:00Z,2026-01-05T21:59:00Z,2026-01-05T22:01:00Z,,,
c3,outgoing,,+12125550123,2026-01-06T15:00:00Z,,2026-01-06T15:00:20Z,,,
m1,,,,2026-01-06T16:00:00Z,,,SMS_SENT,1,0.0079
m2,,,,2026-01-06T16:00:01Z,,,SMS_SENT,2,
";

#[test]
fn charges_are_printed_with_how_they_came_about() {
    let desk = Desk::new(&[("plan.json", SUPPORT), ("calls.csv", CALLS)]);
    insta::assert_snapshot!(desk.printed("--plan plan.json --calls calls.csv"), @r#"
        c1  CALL_DURATION_SECONDS 65  2026-01-05T15:00:05Z  0 USD
          allowance 66 in `business`: 0
            65 s used, billed as 66 s in steps of 30/6; this part from second 0
            band `business` from 2026-01-05T15:00:05Z (America/New_York), split at the second where a band ends
            covered by the allowance, which had 100 s left
            = 0 USD
        c2  CALL_DURATION_SECONDS 120  2026-01-05T21:59:00Z  3.77 USD
          allowance 34 in `business`: 0
            120 s used, billed as 120 s in steps of 30/6; this part from second 0
            band `business` from 2026-01-05T21:59:00Z (America/New_York), split at the second where a band ends
            covered by the allowance, which had 34 s left
            = 0 USD
          overage 26 in `business`: 0.52
            120 s used, billed as 120 s in steps of 30/6; this part from second 34
            band `business` from 2026-01-05T21:59:34Z (America/New_York), split at the second where a band ends
            + 26 s × 1.2 USD ÷ 60 s
            = 0.52 USD
          usage 60 in `after_hours`: 3
            120 s used, billed as 120 s in steps of 30/6; this part from second 60
            band `after_hours` from 2026-01-05T22:00:00Z (America/New_York), split at the second where a band ends
            + 60 s × 3 USD ÷ 60 s
            = 3 USD
          connection 0: 0.25
            + 0.25 USD (connection fee)
            = 0.25 USD
        c3  CALL_DURATION_SECONDS 0  2026-01-06T15:00:00Z  0 USD
          not_charged 0: 0
            nothing was used (a call that is not answered costs nothing)
            = 0 USD
        m1  SMS_SENT 1  2026-01-06T16:00:00Z  0.00948 USD
          usage 1: 0.00948
            + the provider's price × 1 ÷ 1, plus 20 %
            = the provider's price with its mark-up
        m2  SMS_SENT 2  2026-01-06T16:00:01Z  pending
          usage 2: pending
            + the provider's price × 2 ÷ 2, plus 20 %
            = the provider's price with its mark-up

        from 2026-01-01T00:00:00Z to 2026-02-01T00:00:00Z
          base/fee 31: 120.00 USD
            1 charge
            + 31 days × 120 USD ÷ 31 days
            = 120 USD
          sms/usage 1: 0.01 USD
            1 charge
            + 0.00948 USD (providers' prices with mark-up, 1 times)
            = 0.00948 USD
            rounded half up to 0.01 USD, which leaves -0.00052 USD
          support/allowance 100: 0.00 USD
            2 charges
            = 0 USD
          support/connection 0: 0.25 USD
            1 charge
            + 1 × 0.25 USD (connection fee)
            = 0.25 USD
          support/overage 26: 0.52 USD
            1 charge
            + 26 units × 1.2 USD ÷ 60 units
            = 0.52 USD
          support:after_hours/usage 60: 3.00 USD
            1 charge
            + 60 units × 3 USD ÷ 60 units
            = 3 USD
          total: 123.78 USD
          pending charges: 1

        total 123.78 USD

        account
            {
              "zone": "UTC",
              "anchorOn": "2026-01-01",
              "subscription": {
                "startsAt": "2026-01-01T00:00:00Z"
              },
              "periodStart": "2026-01-01T00:00:00Z",
              "grants": [
                {
                  "id": "00000000-0000-0000-0000-000000000001",
                  "allowanceKey": "hours",
                  "granted": "100",
                  "used": "100",
                  "forfeited": "0",
                  "startsAt": "2026-01-01T00:00:00Z",
                  "expiresAt": "2026-03-01T00:00:00Z"
                }
              ],
              "tiers": []
            }
    "#);
}

#[test]
fn json_says_the_same_and_lines_add_up() {
    let desk = Desk::new(&[("plan.json", SUPPORT), ("calls.csv", CALLS)]);
    let printed = desk.json("--plan plan.json --calls calls.csv");
    let amounts: Vec<_> = printed["charges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|charge| {
            (
                charge["id"].as_str().unwrap(),
                charge["meter"].as_str().unwrap(),
                &charge["amount"],
            )
        })
        .map(|(id, meter, amount)| format!("{id} {meter} {amount}"))
        .collect();
    assert_eq!(
        amounts,
        [
            r#"c1 CALL_DURATION_SECONDS "0""#,
            r#"c2 CALL_DURATION_SECONDS "3.77""#,
            r#"c3 CALL_DURATION_SECONDS "0""#,
            r#"m1 SMS_SENT "0.00948""#,
            "m2 SMS_SENT null",
        ]
    );
    let period = &printed["periods"][0];
    assert_eq!(
        (&period["total"], &period["pending"]),
        (&"123.78".into(), &1.into())
    );
    for line in period["lines"].as_array().unwrap() {
        assert_eq!(line["trace"]["v"], 1);
        assert!(
            line["text"]
                .as_str()
                .unwrap()
                .contains(line["exact"].as_str().unwrap())
        );
    }
    assert_eq!(printed["account"]["grants"][0]["used"], "100");
    assert_eq!(printed["account"]["open"]["gathered"]["pending"], 1);
}

#[test]
fn the_order_of_the_lines_does_not_matter() {
    let desk = Desk::new(&[("plan.json", SUPPORT), ("calls.csv", CALLS)]);
    let mut lines: Vec<&str> = CALLS.lines().collect();
    lines[1..].reverse();
    desk.write("turned.csv", &lines.join("\n"));
    let printed = |file: &str| {
        let mut printed = desk.json(&format!("--plan plan.json --calls {file}"));
        for charge in printed["charges"].as_array_mut().unwrap() {
            charge.as_object_mut().unwrap().remove("line");
        }
        printed
    };
    assert_eq!(printed("calls.csv"), printed("turned.csv"));
}

#[test]
fn standard_input_is_read_too() {
    let desk = Desk::new(&[("plan.json", SUPPORT), ("calls.csv", CALLS)]);
    let mut child = desk
        .command("--plan plan.json --calls -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(CALLS.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        text(&output.stdout),
        desk.printed("--plan plan.json --calls calls.csv")
    );
}

/// Exact amounts by id.
fn amounts(printed: &Value) -> BTreeMap<String, Value> {
    let charges = printed["charges"].as_array().unwrap();
    let amount = |charge: &Value| {
        (
            charge["id"].as_str().unwrap().to_owned(),
            charge["amount"].clone(),
        )
    };
    charges.iter().map(amount).collect()
}

#[test]
fn an_account_goes_on_where_it_was_left() {
    let plan = r#"{"currency":"USD","prices":[{"key":"c","meter":"CALL_DURATION_SECONDS",
        "rate":{"graduated":{"tiers":[{"upTo":100,"price":"0.02"},{"price":"0.01"}]}}}],
        "allowances":[{"key":"a","meters":["CALL_DURATION_SECONDS"],"quantity":50,"rollover":{"cycles":1,"cap":30}}]}"#;
    let months = [
        calls(&[
            "1,,,2026-01-31T12:00:00Z,10",
            "2,,,2026-02-05T12:00:00Z,130",
        ]),
        calls(&[
            "3,,,2026-02-06T12:00:00Z,60",
            "4,,,2026-04-20T12:00:00Z,200",
        ]),
    ];
    let desk = Desk::new(&[
        ("plan.json", plan),
        ("one.csv", &months[0]),
        ("two.csv", &months[1]),
        (
            "account.json",
            r#"{"zone":"Europe/Berlin","anchorOn":"2026-01-31"}"#,
        ),
    ]);
    let head = months[1].lines().next().unwrap();
    desk.write(
        "both.csv",
        &format!(
            "{}{}",
            months[0],
            months[1].replace(&format!("{head}\n"), "")
        ),
    );
    let whole = desk.json("--plan plan.json --calls both.csv --account account.json");
    let mut parts = BTreeMap::new();
    for file in ["one.csv", "two.csv"] {
        let arguments = format!(
            "--plan plan.json --calls {file} --account account.json --account-out account.json"
        );
        let printed = desk.json(&arguments);
        assert_eq!(printed["account"], Value::Null, "it is in the file");
        parts.extend(amounts(&printed));
    }
    assert_eq!(parts, amounts(&whole));
    let left: Value =
        serde_json::from_slice(&std::fs::read(desk.path().join("account.json")).unwrap()).unwrap();
    assert_eq!(left, whole["account"]);
    // From 31 January: 50 + 0, so 90 of 140 and all 60 are overage: 100 at 0.02, then 50 at 0.01. In March nothing is
    // used, so 30 are carried into April.
    let expected = [("1", "0"), ("2", "1.8"), ("3", "0.7"), ("4", "2.2")];
    for (id, amount) in expected {
        assert_eq!(parts[id], amount, "{id}");
    }
}

#[test]
fn the_wallet_pays_in_the_order_in_which_credit_expires() {
    let plan = r#"{"currency":"USD","prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":"0.015"}}}]}"#;
    let account = r#"{"wallet":{"currency":"USD","lots":[
        {"left":"5.00","receivedAt":"2026-01-01T00:00:00Z"},
        {"left":2,"receivedAt":"2026-01-01T00:00:00Z","expiresAt":"2026-01-10T00:00:00Z"}]}}"#;
    let lines = calls(&[
        "1,,,2026-01-05T12:00:00Z,101",
        "2,,,2026-01-12T12:00:00Z,100",
        "3,,,2026-02-01T12:00:00Z,300",
    ]);
    let desk = Desk::new(&[
        ("plan.json", plan),
        ("calls.csv", &lines),
        ("account.json", account),
    ]);
    let printed = desk.json("--plan plan.json --calls calls.csv --account account.json");
    // 1.515 is 1.52 on a document, and is paid with the lot that expires; 3.015 is 3.02, so 1.50 more are drawn.
    let periods: Vec<_> = printed["periods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!(
                "{} {}",
                it["total"].as_str().unwrap(),
                it["fromWallet"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(periods, ["3.02 3.02", "4.50 3.50"]);
    let left: Vec<_> = printed["account"]["wallet"]["lots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lot| lot["left"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["0", "0"]);
    assert_eq!(printed["expired"], "0.48");
}

#[test]
fn decks_price_destinations_and_what_has_no_price_is_marked() {
    let plan = r#"{"currency":"USD","prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","connectionFee":"0.01","rate":{"deck":{"deck":"world","per":60}}}]}"#;
    let deck = "prefix,price,connection_fee,increment,starts_at,ends_at\n1,0.02,,60/60,,\n+44,0.03,0,,,2026-01-10T00:00:00Z\n44,0.06,,,2026-01-10T00:00:00Z,\n";
    let lines = calls(&[
        "1,outgoing,+12125550123,2026-01-05T12:00:00Z,61",
        "2,outgoing,+442072193000,2026-01-05T12:00:00Z,60",
        "3,outgoing,+442072193000,2026-01-10T00:00:00Z,60",
        "4,outgoing,+4930123456,2026-01-11T00:00:00Z,60",
    ]);
    let desk = Desk::new(&[
        ("plan.json", plan),
        ("calls.csv", &lines),
        ("deck.csv", deck),
    ]);
    let output = desk.run("--plan plan.json --calls calls.csv --deck world=deck.csv --json");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: 1 usage could not be rated; each is marked above\n"
    );
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let times = printed["charges"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["meter"] != "CALL_MADE");
    let seen: Vec<_> = times
        .map(|it| format!("{} {}", it["amount"], it["error"]))
        .collect();
    assert_eq!(
        seen,
        [
            r#""0.05" null"#,
            r#""0.03" null"#,
            r#""0.07" null"#,
            "null \"price deck `world` has no price for the destination\"",
        ]
    );
    assert_eq!(
        desk.refused("--plan plan.json --calls calls.csv"),
        "error: plan.json: `prices[0].rate.deck.deck`: there is no price deck `world` (decks are given as `--deck KEY=FILE`)\n"
    );
    for (deck, said) in [
        (
            "prefix,price\n1,0.01\n\n1,0.02\n",
            "line 4: prefix `1` already has a price at that time",
        ),
        (
            "prefix,price\n1,0.0.1\n",
            "line 2, column 2 (`price`): `0.0.1` is not a decimal number",
        ),
        ("prefix\n1\n", "line 1: there is no column `price`"),
    ] {
        desk.write("deck.csv", deck);
        let refused = desk.refused("--plan plan.json --calls calls.csv --deck world=deck.csv");
        assert_eq!(refused, format!("error: deck.csv: {said}\n"));
    }
}

#[test]
fn wrong_input_is_named_by_file_line_and_column() {
    let desk = Desk::new(&[("plan.json", SUPPORT)]);
    let head = "id,started_at,answered_at,ended_at,billable_seconds,to,meter,quantity,direction,provider_cost";
    for (lines, said) in [
        (
            "x,2026-01-05T15:00:00Z,,,,,,,,",
            "line 2, column 5 (`billable_seconds`): is missing",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,1m,,,,,",
            "line 2, column 5 (`billable_seconds`): invalid digit found in string",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,-5,,,,,",
            "line 2, column 5 (`billable_seconds`): invalid digit found in string",
        ),
        (
            ",2026-01-05T15:00:00Z,,,5,,,,,",
            "line 2, column 1 (`id`): is missing",
        ),
        ("x,,,,5,,,,,", "line 2, column 2 (`started_at`): is missing"),
        (
            "x,2026-01-05T15:00:00Z,2026-01-05T14:00:00Z,,5,,,,,",
            "line 2, column 3 (`answered_at`): is before `started_at`",
        ),
        (
            "x,2026-01-05T15:00:00Z,2026-01-05T15:00:00Z,,,,,,,",
            "line 2, column 4 (`ended_at`): is missing",
        ),
        (
            "x,2026-01-05T15:00:00Z,2026-01-05T15:00:05Z,2026-01-05T15:00:04Z,,,,,,",
            "line 2, column 4 (`ended_at`): is before the call began",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,5,12125550123,,,,",
            "line 2, column 6 (`to`): `12125550123` is not a phone number in the form +12025550123",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,,,SMS_SENT,,,",
            "line 2, column 8 (`quantity`): is missing",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,,,SMS_SENT,-1,,",
            "line 2, column 8 (`quantity`): must not be negative",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,,,SMS_SENT,0.1000000000000000000000000001,,",
            "line 2, column 8 (`quantity`): `0.1000000000000000000000000001` has more than 12 digits after the decimal point",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,5,,,,sideways,",
            "line 2, column 9 (`direction`): unknown direction `sideways`",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,5,,,,,1234567890123456789012345678",
            "line 2, column 10 (`provider_cost`): `1234567890123456789012345678` is too large",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,5,,,,,\ny,2026-01-05T15:00:00Z,,,5,,,,,\nx,2026-01-05T15:00:00Z,,,5,,,,,",
            "line 4, column 1 (`id`): `x` is on line 2 already",
        ),
        (
            "x,2026-01-05T15:00:00Z,,,5",
            "line 2: 5 columns, where the first line has 10",
        ),
    ] {
        desk.write("calls.csv", &format!("{head}\n{lines}\n"));
        let refused = desk.refused("--plan plan.json --calls calls.csv");
        assert_eq!(refused, format!("error: calls.csv: {said}\n"));
    }
    desk.write("calls.csv", "id,started_at,secs\n");
    let refused = desk.refused("--plan plan.json --calls calls.csv");
    assert!(
        refused.starts_with(
            "error: calls.csv: line 1, column 3: unknown column `secs`; the columns are id, "
        ),
        "{refused}"
    );
    desk.write("calls.csv", "id\n");
    assert_eq!(
        desk.refused("--plan plan.json --calls calls.csv"),
        "error: calls.csv: line 1: there is no column `started_at`\n"
    );
}

#[test]
fn wrong_plans_and_accounts_are_named_by_field() {
    let desk = Desk::new(&[
        ("calls.csv", &calls(&["1,,,2026-01-05T12:00:00Z,5"])),
        ("plan.json", SUPPORT),
    ]);
    desk.write("bad.json", r#"{"currency":"USD","prices":[{"key":"c","meter":"CALLS","rate":{"per_unit":{"price":-1}}}]}"#);
    assert_eq!(
        desk.refused("--plan bad.json --calls calls.csv"),
        "error: bad.json: `prices[0].rate.per_unit.price`: must not be negative\n"
    );
    assert!(
        desk.refused("--plan none.json --calls calls.csv")
            .starts_with("error: cannot read none.json: ")
    );
    assert!(
        desk.refused("--plan plan.json --calls none.csv")
            .starts_with("error: cannot read none.csv: ")
    );
    for (account, said) in [
        (
            r#"{"wallet":{"currency":"USD","lots":[{"left":"x","receivedAt":"2026-01-01T00:00:00Z"}]}}"#,
            "account.json: `wallet.lots[0].left`: `x` is not a decimal number",
        ),
        (
            r#"{"zone":"Mars/Base"}"#,
            "account.json: `zone`: unknown time zone `Mars/Base`",
        ),
        (
            r#"{"wallet":{"currency":"EUR","lots":[]}}"#,
            "the account's wallet has EUR, but the plan is in USD",
        ),
        (
            r#"{"periodStart":"2026-01-02T00:00:00Z"}"#,
            "the account's `periodStart` is no start of a period",
        ),
        (
            r#"{"periodStart":"2026-02-01T00:00:00Z"}"#,
            "line 2: 2026-01-05T12:00:00Z is before the account's period, which starts at 2026-02-01T00:00:00Z",
        ),
    ] {
        desk.write("account.json", account);
        let output = desk.run("--plan plan.json --calls calls.csv --account account.json");
        assert_eq!(output.status.code(), Some(1));
        let refused = text(&output.stderr);
        assert!(refused.starts_with(&format!("error: {said}")), "{refused}");
    }
}

/// Many calls in the order of their starts and the same turned round come to the same, to the last digit.
#[test]
fn a_large_file_is_rated_as_it_is_read() {
    let plan = r#"{"currency":"USD","prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"graduated":{"tiers":[{"upTo":100000,"price":"0.013"},{"price":"0.007"}]}}}]}"#;
    let start: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let line = |number: i64| {
        let at = start + jiff::SignedDuration::from_secs(number * 97 / 3);
        format!("{number},{at},{}", number * 7919 % 301)
    };
    let lines: Vec<String> = (0..5_000).map(line).collect();
    let file = |lines: &mut dyn Iterator<Item = &String>| {
        lines.fold(
            "id,started_at,billable_seconds\n".to_owned(),
            |file, line| file + line + "\n",
        )
    };
    let desk = Desk::new(&[
        ("plan.json", plan),
        ("calls.csv", &file(&mut lines.iter())),
        ("turned.csv", &file(&mut lines.iter().rev())),
    ]);
    let (sorted, turned) = (
        desk.json("--plan plan.json --calls calls.csv"),
        desk.json("--plan plan.json --calls turned.csv"),
    );
    assert_eq!(amounts(&sorted).len(), 5_000);
    assert_eq!(amounts(&sorted), amounts(&turned));
    // 5,000 × an average of 150 seconds or so: what is used in all, in two tiers.
    let used: i64 = (0..5_000).map(|number| number * 7919 % 301).sum();
    let exact = 100_000 * 13 + (used - 100_000) * 7;
    assert_eq!(
        sorted["total"],
        format!("{}.{:02}", exact / 1000, (exact % 1000 + 5) / 10)
    );
}
