//! The form of a closed list of reasons: each core declares its own with it, once. Knows no reason itself.

/// Declares the list: name, who can act, meaning.
#[macro_export]
macro_rules! reasons {
    ($($name:ident, $actor:ident, $says:literal;)+) => {
        /// Why an object is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $says] $name,)+
        }

        impl Reason {
            /// All of them with their meanings, for the generated reference.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $says),)+];

            /// As written in conditions.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The reason of this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().map(|(reason, _)| *reason).find(|reason| reason.as_str() == name)
            }

            /// Who can act on it.
            #[must_use]
            pub const fn actor(self) -> $crate::common::Actor {
                match self {
                    $(Self::$name => $crate::common::Actor::$actor,)+
                }
            }
        }

        impl ::std::fmt::Display for Reason {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl From<Reason> for &'static str {
            fn from(reason: Reason) -> Self {
                reason.as_str()
            }
        }
    };
}
