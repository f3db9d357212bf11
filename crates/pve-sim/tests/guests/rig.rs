//! A simulator with guests, as a program, and a gateway that is plugged into its bridge.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};

use super::place::Place;

/// The gateway's address.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 1);
/// The network of all guests.
pub const NETWORK: &str = "10.64.0.0/16";
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Whether guests can be had here; says so loudly if not.
pub fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: guests need root; run these tests as root");
    }
    root
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(
            begin.elapsed() < LIMIT,
            "{what}: not within {} s",
            LIMIT.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A folder with two keys, and a namespace that is the gateway. Both go at the end.
pub struct Site {
    pub folder: PathBuf,
    pub gateway: Place,
}

impl Site {
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pvetest-{}-{number}", std::process::id());
        let site = Self {
            folder: std::env::temp_dir().join(&name),
            gateway: Place(name),
        };
        std::fs::create_dir_all(&site.folder).unwrap();
        for key in ["contract", "other"] {
            let path = site.folder.join(key);
            ok(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(path));
        }
        ok(Command::new("ip").args(["netns", "add", &site.gateway.0]));
        site
    }

    /// Plugs the gateway into a simulator's bridge.
    pub fn plug(&self, network: &str) {
        let name = &self.gateway.0;
        let lines = [
            format!("ip link add name gw0 netns {network} type veth peer name lan0 netns {name}"),
            format!("ip -n {network} link set gw0 master vmbr0 up"),
            format!("ip -n {name} addr add {GATEWAY}/16 dev lan0"),
            format!("ip -n {name} link set lan0 up"),
        ];
        for line in lines {
            ip(&line);
        }
    }

    /// Runs a program on a guest by SSH from the gateway.
    pub fn ssh(&self, key: &str, who: &str, line: &str) -> Output {
        let key = self.folder.join(key);
        let options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
                       -o ConnectTimeout=3 -o LogLevel=ERROR -o IdentitiesOnly=yes -F none";
        let options = options.split_whitespace().collect::<Vec<_>>().join(" ");
        self.gateway
            .run(&format!("ssh {options} -i {} {who} {line}", key.display()))
    }

    /// What a guest says by SSH, once it does.
    pub async fn said(&self, who: &str, line: &str) -> String {
        let mut said = String::new();
        until(&format!("{who} answers"), async || {
            let output = self.ssh("contract", who, line);
            said = String::from_utf8(output.stdout).unwrap().trim().to_owned();
            output.status.success()
        })
        .await;
        said
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.gateway.0])
            .output();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs a line of ip.
pub fn ip(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    ok(Command::new(words[0]).args(&words[1..]));
}

fn ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A simulator that runs; it is asked to end at the end.
pub struct Running {
    child: Child,
    pub ready: Value,
    api: Client,
    control: Client,
}

/// The program, not yet started.
pub fn program(site: &Site, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pve-sim"));
    command.args(["--nodes", "2", "--guests", "netns", "--stats-lag", "0"]);
    command.args([
        "--start-seconds",
        "0",
        "--stop-seconds",
        "0",
        "--clone-seconds",
        "0",
        "--destroy-seconds",
        "0",
    ]);
    command.arg("--dir").arg(site.folder.join("pve")).args(options);
    command.stdout(Stdio::null());
    command
}

impl Running {
    /// Starts a simulator whose guests boot at once.
    pub async fn start(site: &Site) -> Self {
        Self::with(site, &["--guest-boot-seconds", "0"]).await
    }

    /// Starts a simulator.
    pub async fn with(site: &Site, options: &[&str]) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let file = site.folder.join("ready.json");
        let _ = std::fs::remove_file(&file);
        let mut child = program(site, options)
            .arg("--ready-file")
            .arg(&file)
            .spawn()
            .unwrap();
        until("the simulator is ready", async || {
            assert!(child.try_wait().unwrap().is_none(), "the simulator ended early");
            file.exists()
        })
        .await;
        let ready: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let ca = Certificate::from_pem(ready["ca_pem"].as_str().unwrap().as_bytes()).unwrap();
        // Idle connections are closed after 5 s: none is kept.
        let api = Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        let control = Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        Self {
            child,
            ready,
            api,
            control,
        }
    }

    /// The namespace of the bridges.
    pub fn network(&self) -> Place {
        Place(self.ready["guest_network"].as_str().unwrap().to_owned())
    }

    /// The namespace of a guest.
    pub fn guest(&self, vmid: u32) -> Place {
        Place(format!("{}-{vmid}", self.network().0))
    }

    /// A call of the control port.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.ready["control_url"].as_str().unwrap());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = self
            .control
            .request(method, url)
            .json(&body)
            .send()
            .await
            .unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// A call of the API as root.
    pub async fn api(&self, method: &str, path: &str, params: &[(&str, &str)]) {
        let url = format!(
            "{}/api2/json/nodes/pve1/qemu/{path}",
            self.ready["url"].as_str().unwrap()
        );
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let token = format!("PVEAPIToken={}", self.ready["root_token"].as_str().unwrap());
        let request = self
            .api
            .request(method, url)
            .header("authorization", token)
            .form(params);
        let response = request.send().await.unwrap();
        let (status, text) = (response.status(), response.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
    }

    /// A tenant's guest that runs, with the contract's key.
    pub async fn put(&self, site: &Site, vmid: u32) -> Ipv4Addr {
        let last = u8::try_from(vmid - 90).unwrap();
        let ip = Ipv4Addr::new(10, 64, 0, last);
        let key = std::fs::read_to_string(site.folder.join("contract.pub")).unwrap();
        let key = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC).to_string();
        let config = json!({
            "net0": format!("virtio=BC:24:11:00:00:{last:02X},bridge=vmbr0,firewall=1"),
            "ipconfig0": format!("ip={ip}/16,gw={GATEWAY}"), "ciuser": "root", "sshkeys": key,
        });
        let guest = json!({
            "vmid": vmid, "node": "pve1", "name": format!("web{vmid}"), "running": true, "config": config,
        });
        self.control("POST", "/vms", guest).await;
        ip
    }

    /// Fences a guest in as the operator does.
    pub async fn fence(&self, vmid: u32, ip: Ipv4Addr) {
        let (gateway, own) = (GATEWAY.to_string(), ip.to_string());
        let rules = [
            ("ACCEPT", "0.0.0.0/0"),
            ("DROP", NETWORK),
            ("ACCEPT", gateway.as_str()),
        ];
        for (action, source) in rules {
            let rule = [
                ("type", "in"),
                ("enable", "1"),
                ("action", action),
                ("source", source),
            ];
            self.api("POST", &format!("{vmid}/firewall/rules"), &rule).await;
        }
        let set = [("name", "ipfilter-net0")];
        self.api("POST", &format!("{vmid}/firewall/ipset"), &set).await;
        self.api(
            "POST",
            &format!("{vmid}/firewall/ipset/ipfilter-net0"),
            &[("cidr", &own)],
        )
        .await;
        self.options(
            vmid,
            &[
                ("enable", "1"),
                ("ipfilter", "1"),
                ("macfilter", "1"),
                ("ndp", "0"),
            ],
        )
        .await;
    }

    /// Sets options of a guest's firewall.
    pub async fn options(&self, vmid: u32, options: &[(&str, &str)]) {
        self.api("PUT", &format!("{vmid}/firewall/options"), options)
            .await;
    }

    /// The facts of a guest, if it is there.
    pub async fn fact(&self, vmid: u32) -> Option<Value> {
        let facts = self.control("GET", "/guests", Value::Null).await;
        facts
            .as_array()
            .unwrap()
            .iter()
            .find(|fact| fact["vmid"] == vmid)
            .cloned()
    }

    /// Until a guest's programs were started.
    pub async fn until_booted(&self, vmid: u32) -> Value {
        let booted = async || self.fact(vmid).await.is_some_and(|fact| fact["booted"] == true);
        until("the guest has booted", booted).await;
        self.fact(vmid).await.unwrap()
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end and waits for that.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Ok(None) = self.child.try_wait() else { return };
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let begin = Instant::now();
        while begin.elapsed() < LIMIT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
