//! `tollbook rate`: what a subscription's periods come to with its fees, commitment, discount, tax and wallet.

use serde_json::Value;

use crate::support::desk::{Desk, calls, text};

/// 31 a month from the eleventh day on, 10 cents a second, and no less than 20 of usage.
const PLAN: &str = r#"{"currency":"EUR","baseFee":31,"trialDays":10,"minimumCommitment":20,"prices":[
    {"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":"0.10"}}}],
    "allowances":[{"key":"a","meters":["CALL_DURATION_SECONDS"],"quantity":10,"rollover":{"cycles":1}}]}"#;

/// From the new year in Berlin to the end of March, with a pause from 8 February to 11 March.
const ACCOUNT: &str = r#"{"zone":"Europe/Berlin",
    "subscription":{"startsAt":"2025-12-31T23:00:00Z","endsAt":"2026-03-31T22:00:00Z",
        "pauses":[{"startsAt":"2026-02-07T23:00:00Z","endsAt":"2026-03-10T23:00:00Z"}]},
    "tax":{"rates":[{"name":"VAT","percent":19}]},"discount":{"percent":10}}"#;

const LINES: [&str; 3] = [
    "1,,,2026-01-05T12:00:00Z,60",
    "2,,,2026-02-20T12:00:00Z,5",
    "3,,,2026-03-20T12:00:00Z,310",
];

#[test]
fn a_subscription_is_billed_through_trial_pause_and_end() {
    let desk = Desk::new(&[
        ("plan.json", PLAN),
        ("account.json", ACCOUNT),
        ("calls.csv", &calls(&LINES)),
    ]);
    let arguments =
        "--plan plan.json --calls calls.csv --account account.json --account-out after.json";
    let output = desk.run(arguments);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "error: 1 usage could not be rated; each is marked above\n"
    );
    let printed = text(&output.stdout);
    assert!(
        printed.contains("2  CALL_DURATION_SECONDS 5  2026-02-20T12:00:00Z  not rated: the subscription is not in force at that time"),
        "{printed}"
    );
    // The trial leaves 21 of 31 days, and the pause 7 of 28. The allowance of a period that is partly paused is granted,
    // and what is left of it is carried into March. The commitment is of usage alone, the discount of all lines, and the
    // tax of what is left.
    let periods = printed.split_once("\nfrom").map(|(_, periods)| periods);
    insta::assert_snapshot!(periods.unwrap().trim(), @r"
    2025-12-31T23:00:00Z to 2026-01-31T23:00:00Z
      base/fee 21: 21.00 EUR
        1 charge
        + 21 days × 31 EUR ÷ 31 days
        = 21 EUR
      c/allowance 10: 0.00 EUR
        1 charge
        = 0 EUR
      c/overage 50: 5.00 EUR
        1 charge
        + 50 × 0.1 EUR
        = 5 EUR
      minimum commitment: 15.00 EUR
        + 20 EUR (minimum commitment) − 5 EUR (usage)
        = 15 EUR
      discount: -4.10 EUR
        − 10 % of 41 EUR (discount)
        = -4.1 EUR
      without tax: 36.90 EUR
      VAT 19 %: 7.01 EUR
        + 19 % of 36.9 EUR (VAT)
        = 7.011 EUR
        rounded half up to 7.01 EUR, which leaves 0.001 EUR
      total: 43.91 EUR

    from 2026-01-31T23:00:00Z to 2026-02-28T23:00:00Z
      base/fee 7: 7.75 EUR
        1 charge
        + 7 days × 31 EUR ÷ 28 days
        = 7.75 EUR
      minimum commitment: 20.00 EUR
        + 20 EUR (minimum commitment) − 0 EUR (usage)
        = 20 EUR
      discount: -2.78 EUR
        − 10 % of 27.75 EUR (discount)
        = -2.775 EUR
        rounded half up to -2.78 EUR, which leaves 0.005 EUR
      without tax: 24.97 EUR
      VAT 19 %: 4.74 EUR
        + 19 % of 24.97 EUR (VAT)
        = 4.7443 EUR
        rounded half up to 4.74 EUR, which leaves 0.0043 EUR
      total: 29.71 EUR

    from 2026-02-28T23:00:00Z to 2026-03-31T22:00:00Z
      base/fee 21: 21.00 EUR
        1 charge
        + 21 days × 31 EUR ÷ 31 days
        = 21 EUR
      c/allowance 20: 0.00 EUR
        2 charges
        = 0 EUR
      c/overage 290: 29.00 EUR
        1 charge
        + 290 × 0.1 EUR
        = 29 EUR
      discount: -5.00 EUR
        − 10 % of 50 EUR (discount)
        = -5 EUR
      without tax: 45.00 EUR
      VAT 19 %: 8.55 EUR
        + 19 % of 45 EUR (VAT)
        = 8.55 EUR
      total: 53.55 EUR

    total 127.17 EUR
    ");
    let json: Value =
        serde_json::from_slice(&desk.run(&format!("{arguments} --json")).stdout).unwrap();
    let totals: Vec<_> = json["periods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| [&it["subtotal"], &it["taxes"][0]["amount"], &it["total"]])
        .collect();
    assert_eq!(
        totals,
        [
            ["36.90", "7.01", "43.91"],
            ["24.97", "4.74", "29.71"],
            ["45.00", "8.55", "53.55"],
        ]
    );
    assert_eq!(json["total"], "127.17");
}

#[test]
fn calls_in_several_files_come_to_the_same_as_in_one() {
    let account = r#"{"anchorOn":"2026-01-15","discount":{"amount":"1.50"},"tax":{"rates":[{"name":"VAT","percent":"7.7","inclusive":true}]},
        "wallet":{"currency":"EUR","creditLimit":"1","lots":[{"left":"48","receivedAt":"2026-01-01T00:00:00Z"}]}}"#;
    let lines = [
        "1,,,2026-01-20T12:00:00Z,33",
        "2,,,2026-02-20T12:00:00Z,251",
        "3,,,2026-02-21T12:00:00Z,77",
        "4,,,2026-04-30T12:00:00Z,1",
        "5,,,2026-05-14T23:59:59Z,8",
    ];
    let desk = Desk::new(&[
        ("plan.json", PLAN),
        ("account.json", account),
        ("all.csv", &calls(&lines)),
    ]);
    let whole = desk.json("--plan plan.json --calls all.csv --account account.json");
    let mut periods: Vec<Value> = Vec::new();
    for line in lines {
        desk.write("one.csv", &calls(&[line]));
        let printed = desk.json(
            "--plan plan.json --calls one.csv --account account.json --account-out account.json",
        );
        // The open period is printed again, with what has come to it.
        for period in printed["periods"].as_array().unwrap() {
            periods.retain(|known| known["start"] != period["start"]);
            periods.push(period.clone());
        }
    }
    assert_eq!(Value::from(periods), whole["periods"]);
    assert_eq!(whole["periods"].as_array().unwrap().len(), 4);
    let left: Value =
        serde_json::from_slice(&std::fs::read(desk.path().join("account.json")).unwrap()).unwrap();
    assert_eq!(left, whole["account"]);
}

#[test]
fn what_is_left_says_how_long_the_next_call_may_last() {
    let plan = r#"{"currency":"EUR","prices":[{"key":"c","meter":"CALL_DURATION_SECONDS","rate":{"per_unit":{"price":"0.10"}}}],
        "allowances":[{"key":"a","meters":["CALL_DURATION_SECONDS"],"quantity":30}]}"#;
    let account = r#"{"wallet":{"currency":"EUR","creditLimit":"5.00",
        "lots":[{"left":"10.00","receivedAt":"2026-01-01T00:00:00Z"}],
        "reservations":[{"call":"1","amount":"3.00","expiresAt":"2026-02-01T00:00:00Z"},
                        {"call":"8","amount":"1.00","expiresAt":"2026-01-05T12:00:00Z"},
                        {"call":"9","amount":"1.00","expiresAt":"2026-01-05T12:00:01Z"}]}}"#;
    let desk = Desk::new(&[
        ("plan.json", plan),
        ("account.json", account),
        ("none.csv", &calls(&[])),
        ("calls.csv", &calls(&["1,,,2026-01-05T12:00:00Z,45"])),
    ]);
    let after = |arguments: &str| {
        let printed = desk.json(&format!(
            "--plan plan.json --longest-call +12125550123 {arguments}"
        ));
        let reservations = printed["account"]["wallet"]["reservations"].clone();
        let calls: Option<Vec<_>> = reservations
            .as_array()
            .map(|all| all.iter().map(|it| it["call"].clone()).collect());
        (
            printed["available"].clone(),
            printed["longestCall"].clone(),
            calls.unwrap_or_default(),
        )
    };
    // 45 seconds: 30 are included, 1.50 are drawn, and 1.00 is set aside for the other call.
    assert_eq!(
        after("--calls calls.csv --account account.json"),
        ("12.5".into(), 125.into(), vec!["9".into()])
    );
    // Without a wallet a call may last as long as it costs nothing.
    desk.write("account.json", r#"{"periodStart":"2026-01-01T00:00:00Z"}"#);
    assert_eq!(
        after("--calls none.csv --account account.json"),
        (Value::Null, 30.into(), vec![])
    );
}

#[test]
fn a_wrong_account_is_named_by_field() {
    let desk = Desk::new(&[
        ("plan.json", PLAN),
        ("calls.csv", &calls(&["1,,,2026-01-05T12:00:00Z,45"])),
    ]);
    let subscription =
        |rest: &str| format!(r#"{{"subscription":{{"startsAt":"2026-01-01T00:00:00Z"{rest}}}}}"#);
    let pause = "the account's `subscription.pauses[0]` must be after the trial and the pause before, and before the end";
    for (account, said) in [
        (
            subscription(r#","endsAt":"2026-01-01T00:00:00Z""#),
            "the account's `subscription.endsAt` must be after `startsAt`",
        ),
        (
            subscription(r#","pauses":[{"startsAt":"2026-01-10T23:59:59Z"}]"#),
            pause,
        ),
        (
            subscription(
                r#","endsAt":"2026-02-01T00:00:00Z","pauses":[{"startsAt":"2026-01-20T00:00:00Z","endsAt":"2026-02-02T00:00:00Z"}]"#,
            ),
            pause,
        ),
        (
            subscription(
                r#","pauses":[{"startsAt":"2026-01-20T00:00:00Z","endsAt":"2026-01-20T00:00:00Z"}]"#,
            ),
            pause,
        ),
        (
            r#"{"discount":{"percent":101}}"#.to_owned(),
            "a discount is 0 to 100 percent, or an amount that is not negative",
        ),
        (
            r#"{"wallet":{"currency":"EUR","creditLimit":-1,"lots":[]}}"#.to_owned(),
            "the account's `wallet.creditLimit` must not be negative",
        ),
        (
            r#"{"wallet":{"currency":"EUR","lots":[{"left":"0.001","receivedAt":"2026-01-01T00:00:00Z"}]}}"#.to_owned(),
            "the account's `wallet.lots[0].left`: ",
        ),
        (
            r#"{"wallet":{"currency":"EUR","lots":[],"reservations":[
                {"call":"x","amount":1,"expiresAt":"2026-02-01T00:00:00Z"},
                {"call":"x","amount":1,"expiresAt":"2026-02-01T00:00:00Z"}]}}"#.to_owned(),
            "the account's `wallet.reservations[1].call`: `x` has a reservation already",
        ),
        (
            r#"{"open":{"gathered":{"lines":[{"group":"c/usage","kind":"usage","quantity":1,"charges":1,
                "items":[{"units":{"quantity":1,"price":1,"per":0}}]}]}}}"#.to_owned(),
            "account.json: `open.gathered`: ",
        ),
    ] {
        desk.write("account.json", &account);
        let refused = desk.refused("--plan plan.json --calls calls.csv --account account.json");
        assert!(refused.starts_with(&format!("error: {said}")), "{refused}");
    }
}
