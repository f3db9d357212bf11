//! Whether a Contract may be taken at all: visibility, stock, hours, limits, payment. The webhook asks the same
//! functions. Must not say more about an Offering that its tenant may not see than about one that does not exist.

use crds::{
    Account, Contract, Offering, Provider,
    contract::{ContractPrice, PaymentMethod},
    offering::{Stock, Visibility},
};
use domain::money::{self, E9s};

use super::{names::path, owner::offers_from};
use crate::{condition::Wait, reason::Reason};

/// Everything that admission looks at.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The Contract.
    pub contract: &'a Contract,
    /// The Account that owns its namespace.
    pub account: Option<&'a Account>,
    /// The Offering, if there is one of that name.
    pub offering: Option<&'a Offering>,
    /// The Provider of the Offering's namespace.
    pub provider: Option<&'a Provider>,
    /// Contracts of the account that are alive and older than this one.
    pub older_alive: usize,
    /// Whether this market takes the method Test.
    pub allow_test_payment: bool,
}

/// How a Contract is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It costs nothing.
    Free,
    /// Paid with the method Test.
    Test,
}

/// On which terms a Contract is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The price, to be fixed.
    pub price: ContractPrice,
    /// How it is settled.
    pub settlement: Settlement,
}

/// Why a Contract is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No Account owns the namespace.
    AccountMissing,
    /// No such Offering, or none that this tenant may see.
    OfferingNotFound,
    /// Never to be had again.
    Discontinued,
    /// The duration is out of the Offering's range.
    HoursOutOfRange {
        /// Shortest.
        min: i32,
        /// Longest.
        max: i32,
    },
    /// The price cannot be computed.
    PriceInvalid,
    /// It costs something and the method pays nothing.
    PaymentRequired {
        /// The price.
        price: ContractPrice,
    },
    /// The market does not take the method.
    PaymentNotAllowed,
    /// The provider takes nothing new.
    ProviderPaused,
    /// Out of stock.
    OutOfStock,
    /// The account has as many contracts as it may.
    AccountLimit {
        /// How many it may have.
        limit: i32,
    },
}

/// Whether the account offers this Offering itself.
#[must_use]
pub fn owns(account: &Account, contract: &Contract) -> bool {
    offers_from(account, contract.spec.offering_ref.namespace.as_str())
}

/// Whether the account may see the Offering. To others it does not exist.
#[must_use]
pub fn visible(offering: &Offering, account: &Account, owner: bool) -> bool {
    let spec = &offering.spec;
    let named = |text: &str| spec.allow.iter().any(|allowed| allowed.as_str() == text);
    let shared = || {
        let name = account.metadata.name.as_deref().unwrap_or_default();
        named(name) || account.spec.public_keys.iter().any(|k| named(k.key.as_str()))
    };
    let shown = match spec.visibility {
        Visibility::Public => true,
        Visibility::Shared => shared(),
        Visibility::Private => false,
    };
    let gone = offering.metadata.deletion_timestamp.is_some();
    !gone && (owner || (shown && !spec.draft))
}

/// Whether and on which terms the Contract is taken. What lasts is looked at before what may pass.
///
/// # Errors
/// Why it is not taken.
pub fn admit(asked: &Asked<'_>) -> Result<Terms, Refusal> {
    let account = asked.account.ok_or(Refusal::AccountMissing)?;
    let owner = owns(account, asked.contract);
    let offering = asked
        .offering
        .filter(|o| visible(o, account, owner))
        .ok_or(Refusal::OfferingNotFound)?;
    if offering.spec.stock == Stock::Discontinued {
        return Err(Refusal::Discontinued);
    }
    let terms = terms(asked, offering, owner)?;
    if asked.provider.is_some_and(|p| p.spec.paused) {
        return Err(Refusal::ProviderPaused);
    }
    if offering.spec.stock == Stock::OutOfStock {
        return Err(Refusal::OutOfStock);
    }
    let limit = account.spec.limits.contracts;
    if asked.older_alive >= usize::try_from(limit).unwrap_or(0) {
        return Err(Refusal::AccountLimit { limit });
    }
    Ok(terms)
}

fn terms(asked: &Asked<'_>, offering: &Offering, owner: bool) -> Result<Terms, Refusal> {
    let spec = &asked.contract.spec;
    let range = &offering.spec.hours;
    if !(range.min..=range.max).contains(&spec.duration_hours) {
        return Err(Refusal::HoursOutOfRange {
            min: range.min,
            max: range.max,
        });
    }
    let amount = price(offering, spec.duration_hours, owner).ok_or(Refusal::PriceInvalid)?;
    let currency = offering.spec.price.currency.as_str().to_owned();
    let price = ContractPrice {
        amount_e9s: amount.get(),
        currency,
    };
    let settlement = match spec.payment.method {
        _ if amount == E9s::ZERO => Settlement::Free,
        PaymentMethod::Free => return Err(Refusal::PaymentRequired { price }),
        PaymentMethod::Test if asked.allow_test_payment => Settlement::Test,
        PaymentMethod::Test => return Err(Refusal::PaymentNotAllowed),
    };
    Ok(Terms { price, settlement })
}

fn price(offering: &Offering, hours: i32, owner: bool) -> Option<E9s> {
    let monthly: E9s = offering.spec.price.monthly.as_str().parse().ok()?;
    let hours = u32::try_from(hours).ok()?;
    let price = money::price_for(monthly, hours).ok()?;
    Some(if owner { E9s::ZERO } else { price })
}

/// A price as people read it.
#[must_use]
pub fn say_price(price: &ContractPrice, hours: i32) -> String {
    let amount = E9s::try_from(price.amount_e9s).unwrap_or_default();
    format!("{} {} for {hours} h", cents(&amount.to_string()), price.currency)
}

/// An amount with at least two digits behind the point, as people write prices.
fn cents(amount: &str) -> String {
    match amount.split_once('.') {
        Some((whole, part)) => format!("{whole}.{part:0<2}"),
        None => format!("{amount}.00"),
    }
}

impl Refusal {
    /// Its reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::AccountMissing => Reason::AccountMissing,
            Self::OfferingNotFound => Reason::OfferingNotFound,
            Self::Discontinued => Reason::Discontinued,
            Self::HoursOutOfRange { .. } => Reason::HoursOutOfRange,
            Self::PriceInvalid => Reason::PriceInvalid,
            Self::PaymentRequired { .. } => Reason::PaymentRequired,
            Self::PaymentNotAllowed => Reason::PaymentNotAllowed,
            Self::ProviderPaused => Reason::ProviderPaused,
            Self::OutOfStock => Reason::OutOfStock,
            Self::AccountLimit { .. } => Reason::AccountLimit,
        }
    }

    /// Whether it cannot pass by itself, since what the Contract asks for is immutable.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Discontinued
            | Self::HoursOutOfRange { .. }
            | Self::PriceInvalid
            | Self::PaymentRequired { .. }
            | Self::PaymentNotAllowed => true,
            Self::AccountMissing
            | Self::OfferingNotFound
            | Self::ProviderPaused
            | Self::OutOfStock
            | Self::AccountLimit { .. } => false,
        }
    }

    /// What people are told: from the Contract alone wherever the Offering may be invisible.
    #[must_use]
    pub fn wait(&self, contract: &Contract) -> Wait {
        let (says, next) = self.texts(contract);
        Wait::new(self.reason(), says, next)
    }

    fn texts(&self, contract: &Contract) -> (String, String) {
        let named = path(&contract.spec.offering_ref);
        let hours = contract.spec.duration_hours;
        let again = |what: &str| format!("Make a new Contract {what}.");
        match self {
            Self::AccountMissing => (
                "No Account that is ready owns this namespace.".into(),
                "The market operator has to create the Account, or mend it.".into(),
            ),
            Self::OfferingNotFound => (
                format!("No offering {named}."),
                "Check spec.offeringRef with the provider; it is taken as soon as there is such an offering for you.".into(),
            ),
            Self::Discontinued => (format!("{named} is discontinued."), again("for another Offering")),
            Self::HoursOutOfRange { min, max } => (
                format!("{named} is let for {min} to {max} h, not for {hours} h."),
                again("with a durationHours within that range"),
            ),
            Self::PriceInvalid => (
                format!("The price of {named} for {hours} h cannot be computed."),
                "The provider has to mend spec.price of the Offering; then make a new Contract.".into(),
            ),
            Self::PaymentRequired { price } => (
                format!(
                    "{named} costs {} and the method Free pays nothing.",
                    say_price(price, hours)
                ),
                again("with a method of payment that pays"),
            ),
            Self::PaymentNotAllowed => (
                "This market does not take the method Test.".into(),
                again("with another method of payment"),
            ),
            Self::ProviderPaused => (
                format!("The provider of {named} takes no new contracts at present."),
                "It goes on by itself once the provider resumes, or rent elsewhere.".into(),
            ),
            Self::OutOfStock => (
                format!("{named} is out of stock."),
                "It goes on by itself once it is in stock, or rent something else.".into(),
            ),
            Self::AccountLimit { limit } => (
                format!("The account may have {limit} contracts at once and has as many that are older."),
                "End one of them, or ask the market operator for a higher limit.".into(),
            ),
        }
    }
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
