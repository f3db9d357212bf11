//! The token is in no text that leaves the client.

use dc_cloudflare::Cf;
use serde_json::json;

use crate::bed::{Bed, access, owner, wildcard};

#[tokio::test]
async fn a_planted_secret_is_in_no_debug_text_and_no_error() {
    let bed = Bed::new().await;
    let token = bed.sim.token.clone();
    let access = access(&bed.sim, &token);
    let cf = Cf::new(&access, bed.budget.clone()).unwrap();
    let mut texts = vec![format!("{access:?} {cf:?} {:?}", bed.budget)];
    for act in [
        json!("drop_after"),
        json!("drop_before"),
        json!({"answer": {"status": 500, "body": "x"}}),
    ] {
        bed.fault(json!({"count": 0}), act).await;
        let error = cf.create(&bed.zone, &wildcard(1), &owner()).await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
        bed.control("DELETE", "/faults", serde_json::Value::Null).await;
    }
    for text in texts {
        assert!(!text.contains(&token), "{text}");
    }
    let log = bed.control("GET", "/requests", serde_json::Value::Null).await;
    assert!(!log.to_string().contains(&token));
}
