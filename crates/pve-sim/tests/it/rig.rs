//! A simulator of its own for each test, with a client for its API and its control port.

use std::sync::Once;
use std::time::{Duration, Instant};

use pve_sim::{Durations, Sim, SimConfig, SimHandle};
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};

/// A key that is good.
pub const KEY: &str =
    "ssh-ed25519%20AAAAC3NzaC1lZDI1NTE5AAAAIKkQWn5ZqzXGdXgq2sPOUbxTgVqIIhFsIvmXWgKq8n9y%20test%40example%0A";

/// A simulator and its client.
pub struct Rig {
    pub sim: SimHandle,
    pub client: Client,
    control: Client,
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub reason: String,
    pub body: Value,
}

impl Got {
    /// The value of `data`, of a good answer.
    pub fn data(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.reason);
        self.body["data"].clone()
    }

    /// The status and the reason phrase.
    pub fn line(&self) -> (u16, &str) {
        (self.status, &self.reason)
    }
}

/// A configuration in which nothing waits.
pub fn quick() -> SimConfig {
    SimConfig {
        durations: Durations::AT_ONCE,
        death_notice: Duration::ZERO,
        stats_lag: Duration::ZERO,
        auth_delay: Duration::ZERO,
        seed: Some(1),
        ..SimConfig::default()
    }
}

/// Chooses the process's TLS once, before its first client.
pub fn install_tls() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

impl Rig {
    /// A simulator in which nothing waits.
    pub async fn quick() -> Self {
        Self::start(quick()).await
    }

    /// A simulator.
    pub async fn start(config: SimConfig) -> Self {
        install_tls();
        let sim = Sim::start(config).await.unwrap();
        let ca = Certificate::from_pem(sim.ca_pem.as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
        let control = Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        Self { sim, client, control }
    }

    /// A call as the service token.
    pub async fn call(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Got {
        self.call_as(&self.sim.token, method, path, params).await
    }

    /// A call as root's token.
    pub async fn root(&self, method: &str, path: &str, params: &[(&str, &str)]) -> Got {
        self.call_as(&self.sim.root_token, method, path, params).await
    }

    /// A call as anybody: parameters in the query of GET and DELETE, else as a form.
    pub async fn call_as(&self, token: &str, method: &str, path: &str, params: &[(&str, &str)]) -> Got {
        let url = format!("{}/api2/json{path}", self.sim.url);
        let request = self
            .client
            .request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        let request = request.header("authorization", format!("PVEAPIToken={token}"));
        let request = if matches!(method, "GET" | "DELETE") {
            request.query(params)
        } else {
            request.form(params)
        };
        got(request.send().await.unwrap()).await
    }

    /// A call of the control port.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sim.control_url);
        let request = self
            .control
            .request(Method::from_bytes(method.as_bytes()).unwrap(), url)
            .json(&body);
        let response = request.send().await.unwrap();
        assert!(
            response.status().is_success(),
            "{method} {path}: {}",
            response.status()
        );
        let text = response.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// A client that speaks to the control port.
    pub fn plain(&self) -> &Client {
        &self.control
    }

    /// Arms a fault.
    pub async fn fault(&self, matcher: Value, act: Value) {
        self.control("POST", "/faults", json!({"match": matcher, "act": act}))
            .await;
    }

    /// The truth about a guest.
    pub async fn truth(&self, vmid: u32) -> Option<Value> {
        let all = self.control("GET", "/vms", Value::Null).await;
        all.as_array()
            .unwrap()
            .iter()
            .find(|vm| vm["vmid"] == vmid)
            .cloned()
    }

    /// Waits for a task and gives its exit status.
    pub async fn end_of(&self, upid: &Value) -> String {
        let upid = upid.as_str().expect("a UPID");
        let node = upid.split(':').nth(1).unwrap();
        let path = format!("/nodes/{node}/tasks/{upid}/status");
        until(&format!("the end of {upid}"), async || {
            let status = self.root("GET", &path, &[]).await.data();
            let ended = status["status"] == "stopped";
            ended.then(|| status["exitstatus"].as_str().unwrap().to_owned())
        })
        .await
    }

    /// A good call that starts a task; its exit status.
    pub async fn task(&self, method: &str, path: &str, params: &[(&str, &str)]) -> String {
        let upid = self.call(method, path, params).await.data();
        self.end_of(&upid).await
    }

    /// A linked clone of the first template into the pool.
    pub async fn clone(&self, vmid: u32) {
        let id = vmid.to_string();
        let params = [("newid", id.as_str()), ("pool", "decent"), ("name", "dc-a")];
        assert_eq!(
            self.task("POST", "/nodes/pve1/qemu/9000/clone", &params).await,
            "OK"
        );
    }

    /// The configuration of a guest on the first node.
    pub async fn config(&self, vmid: u32) -> Value {
        self.call("GET", &format!("/nodes/pve1/qemu/{vmid}/config"), &[])
            .await
            .data()
    }
}

/// Reads an answer, reason phrase included.
pub async fn got(response: reqwest::Response) -> Got {
    let status = response.status();
    let own = response.extensions().get::<hyper::ext::ReasonPhrase>();
    let reason = own.map_or_else(
        || status.canonical_reason().unwrap_or_default().to_owned(),
        |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
    );
    let text = response.text().await.unwrap();
    Got {
        status: status.as_u16(),
        reason,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
    }
}

/// Asks again until there is an answer, for half a minute.
pub async fn until<T>(what: &str, probe: impl AsyncFn() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
