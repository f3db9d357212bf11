//! Calls about tokens.

use serde_json::json;

use super::call::Known;
use super::envelope::Answer;

/// GET /user/tokens/verify
pub fn verify(call: &Known<'_>) -> Answer {
    let message = json!([{"code": 10000, "message": "This API Token is valid and active", "type": null}]);
    let result = json!({"id": call.token.id, "status": "active"});
    Answer::with(result, &[("messages", message)])
}
