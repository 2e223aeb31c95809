//! Why a call fails, as JSON-RPC says it: with its own codes when the call is none, and else with the
//! exit code that a command would have.

use serde::Serialize;
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::home::HomeError;

/// An error of JSON-RPC.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Refusal {
    pub(super) code: i32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

impl Refusal {
    /// The line is no JSON.
    pub(super) fn no_json(why: impl ToString) -> Self {
        Self::new(-32_700, why)
    }

    /// It is JSON, and no request.
    pub(super) fn no_request(why: impl ToString) -> Self {
        Self::new(-32_600, why)
    }

    /// There is no such method.
    pub(super) fn no_method(why: impl ToString) -> Self {
        Self::new(-32_601, why)
    }

    /// The method does not take these parameters.
    pub(super) fn bad_params(why: impl ToString) -> Self {
        Self::new(-32_602, why)
    }

    /// The home did not work.
    pub(super) fn is_storage(&self) -> bool {
        self.code == 74
    }

    fn new(code: i32, why: impl ToString) -> Self {
        Self { code, message: why.to_string(), data: None }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let data = match &failure {
            Failure::RateLimited { retry_after_s, .. } => {
                Some(json!({ "retry_after_s": retry_after_s }))
            }
            _ => None,
        };
        Self { code: failure.code().into(), message: failure.to_string(), data }
    }
}

impl From<HomeError> for Refusal {
    fn from(error: HomeError) -> Self {
        Failure::from(error).into()
    }
}
