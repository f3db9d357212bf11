use rstest::rstest;

use super::*;
use crate::market::samples::{account, contract, offering, offering_account, provider};

struct Case {
    contract: Contract,
    account: Account,
    offering: Option<Offering>,
    provider: Provider,
    older_alive: usize,
    allow_test_payment: bool,
}

fn case() -> Case {
    Case {
        contract: contract(),
        account: account("alice"),
        offering: Some(offering()),
        provider: provider(),
        older_alive: 0,
        allow_test_payment: true,
    }
}

impl Case {
    fn offering(&mut self) -> &mut crds::OfferingSpec {
        &mut self.offering.as_mut().unwrap().spec
    }

    fn ask(&self) -> Result<Terms, Refusal> {
        admit(&Asked {
            contract: &self.contract,
            account: Some(&self.account),
            offering: self.offering.as_ref(),
            provider: Some(&self.provider),
            older_alive: self.older_alive,
            allow_test_payment: self.allow_test_payment,
        })
    }

    fn reason(&self) -> Option<Reason> {
        self.ask().err().map(|r| r.reason())
    }
}

#[rstest]
#[case::missing(|c: &mut Case| c.offering = None)]
#[case::private(|c: &mut Case| c.offering().visibility = Visibility::Private)]
#[case::not_shared(|c: &mut Case| { c.offering().visibility = Visibility::Shared; c.offering().allow = vec!["bob".into()] })]
#[case::draft(|c: &mut Case| c.offering().draft = true)]
#[case::invisible_and_impossible(|c: &mut Case| {
    c.offering().visibility = Visibility::Private;
    c.offering().stock = Stock::Discontinued;
    c.offering().hours.max = 1;
    c.offering().price.monthly = "x".into();
    c.provider.spec.paused = true;
})]
fn what_may_not_be_seen_answers_like_what_does_not_exist(#[case] change: fn(&mut Case)) {
    let mut missing = case();
    missing.offering = None;
    let want = missing.ask().unwrap_err();
    let mut got = case();
    change(&mut got);
    let refusal = got.ask().unwrap_err();
    assert_eq!(refusal, want);
    assert_eq!(refusal.wait(&got.contract), want.wait(&missing.contract));
    assert_eq!(
        want.wait(&missing.contract).message,
        "No offering provider-acme/small."
    );
}

#[rstest]
#[case::public(|_: &mut Case| {})]
#[case::shared_by_name(|c: &mut Case| { c.offering().visibility = Visibility::Shared; c.offering().allow = vec!["alice".into()] })]
#[case::shared_by_key(|c: &mut Case| { c.offering().visibility = Visibility::Shared; c.offering().allow = vec!["ab".repeat(32).into()] })]
#[case::owner_of_private(|c: &mut Case| { c.account = offering_account("acme"); c.offering().visibility = Visibility::Private })]
#[case::owner_of_draft(|c: &mut Case| { c.account = offering_account("acme"); c.offering().draft = true })]
fn who_may_see_it_may_rent_it(#[case] change: fn(&mut Case)) {
    let mut got = case();
    change(&mut got);
    assert_eq!(got.reason(), None);
}

#[rstest]
#[case::discontinued(|c: &mut Case| c.offering().stock = Stock::Discontinued, Reason::Discontinued, true)]
#[case::too_short(|c: &mut Case| c.contract.spec.duration_hours = 0, Reason::HoursOutOfRange, true)]
#[case::too_long(|c: &mut Case| c.contract.spec.duration_hours = 8761, Reason::HoursOutOfRange, true)]
#[case::price_text(|c: &mut Case| c.offering().price.monthly = "1e3".into(), Reason::PriceInvalid, true)]
#[case::not_free(|c: &mut Case| c.offering().price.monthly = "1".into(), Reason::PaymentRequired, true)]
#[case::no_test(|c: &mut Case| {
    c.offering().price.monthly = "1".into();
    c.contract.spec.payment.method = PaymentMethod::Test;
    c.allow_test_payment = false;
}, Reason::PaymentNotAllowed, true)]
#[case::paused(|c: &mut Case| c.provider.spec.paused = true, Reason::ProviderPaused, false)]
#[case::out_of_stock(|c: &mut Case| c.offering().stock = Stock::OutOfStock, Reason::OutOfStock, false)]
#[case::limit(|c: &mut Case| c.older_alive = 10, Reason::AccountLimit, false)]
fn refusals_have_their_reason_and_say_whether_they_last(
    #[case] change: fn(&mut Case),
    #[case] reason: Reason,
    #[case] permanent: bool,
) {
    let mut got = case();
    change(&mut got);
    let refusal = got.ask().unwrap_err();
    assert_eq!((refusal.reason(), refusal.is_permanent()), (reason, permanent));
    let wait = refusal.wait(&got.contract);
    assert!(
        wait.message.ends_with('.') && wait.next_step.ends_with('.'),
        "{wait:?}"
    );
}

#[test]
fn without_an_account_nothing_is_looked_at() {
    let (contract, offering) = (contract(), offering());
    let asked = Asked {
        contract: &contract,
        account: None,
        offering: Some(&offering),
        provider: None,
        older_alive: 0,
        allow_test_payment: false,
    };
    assert_eq!(admit(&asked), Err(Refusal::AccountMissing));
}

#[test]
fn the_price_is_the_wires() {
    let mut got = case();
    got.offering().price.monthly = "10".into();
    got.contract.spec.payment.method = PaymentMethod::Test;
    got.contract.spec.duration_hours = 1;
    let terms = got.ask().unwrap();
    assert_eq!(
        (terms.price.amount_e9s, terms.settlement),
        (13_888_888, Settlement::Test)
    );
    assert_eq!(say_price(&terms.price, 1), "0.013888888 USD for 1 h");
}

#[test]
fn the_owner_pays_nothing_by_any_method_and_whatever_costs_nothing_needs_no_method() {
    for method in [PaymentMethod::Free, PaymentMethod::Test] {
        let mut own = case();
        own.account = offering_account("acme");
        own.allow_test_payment = false;
        own.offering().price.monthly = "10".into();
        own.contract.spec.payment.method = method;
        let terms = own.ask().unwrap();
        assert_eq!((terms.price.amount_e9s, terms.settlement), (0, Settlement::Free));
        let mut free = case();
        free.allow_test_payment = false;
        free.contract.spec.payment.method = method;
        assert_eq!(free.ask().unwrap().settlement, Settlement::Free);
    }
}

#[test]
fn the_limit_counts_older_contracts_only() {
    let mut got = case();
    got.account.spec.limits.contracts = 1;
    assert_eq!(got.reason(), None);
    got.older_alive = 1;
    assert_eq!(got.reason(), Some(Reason::AccountLimit));
    got.account.spec.limits.contracts = -1;
    got.older_alive = 0;
    assert_eq!(got.reason(), Some(Reason::AccountLimit));
}
