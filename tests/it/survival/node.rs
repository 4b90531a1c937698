//! One of two nodes behind a balancer is killed, again and again. The balancer goes on with the other;
//! clients that try again lose nothing; and the node that was killed takes its part again.

use std::{path::Path, time::Instant};

use super::{assert_all_holds, assert_well, crowd::Crowd, rounds, two_nodes, until_ready};
use crate::support::{
    Balancer, PATIENCE, Process, RedisServer, Way, Wire, balancer::Program, redis::redis_works,
};

#[tokio::test(flavor = "multi_thread")]
async fn behind_haproxy_a_killed_node_loses_nothing() {
    a_killed_node_loses_nothing(Program::HaProxy, haproxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_a_killed_node_loses_nothing() {
    a_killed_node_loses_nothing(Program::Nginx, nginx).await;
}

async fn a_killed_node_loses_nothing(
    program: Program,
    configuration: impl FnOnce(u16, &Path, &[Process]) -> String,
) {
    if !redis_works() || !program.works() {
        return;
    }
    let redis = RedisServer::start();
    let proxies = [("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let mut nodes = two_nodes(redis.url().as_str(), &proxies);
    let balancer = Balancer::start(program, |port, dir| configuration(port, dir, &nodes));
    until_ready(&balancer.anonymous()).await;
    let crowd = Crowd::start("node", &[&balancer]).await;
    for round in 0..=rounds() {
        let killed = usize::try_from(round % 2).unwrap();
        crowd.until_answers(100).await;
        nodes[killed].kill_hard();
        // From the other one: from the second round on, from one that was killed before.
        crowd.until_answers(100).await;
        nodes[killed].restart();
        until_ready(&nodes[killed].anonymous()).await;
    }
    crowd.until_answers(100).await;
    let outcome = crowd.holds().await;
    assert!(outcome.met.unserved > 0, "nobody noticed: {outcome:?}");
    assert_all_holds(&outcome);
    assert_well(&mut nodes);
}

/// A node that cannot reach Redis says that it is not ready, and is given nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn haproxy_leaves_a_node_that_is_cut_off_from_redis() {
    if !redis_works() || !Program::HaProxy.works() {
        return;
    }
    let redis = RedisServer::start();
    let wire = Wire::to(redis.port()).await;
    let proxies = [("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "127.0.0.1")];
    let mut nodes = two_nodes(redis.url().as_str(), &proxies);
    assert!(nodes[0].terminate().success());
    nodes[0].configure("COUNTERSIGN_STORE__URL", &wire.redis());
    nodes[0].restart();
    let balancer = Balancer::start(Program::HaProxy, |port, dir| haproxy(port, dir, &nodes));
    until_ready(&balancer.anonymous()).await;
    let ann = balancer.program();
    ann.join("ann@example.com").await;
    // Twenty one after the other are served by both.
    let all_are_served = async || {
        for _ in 0..20 {
            if ann.check().await.status != 200 {
                return false;
            }
        }
        true
    };
    let started = Instant::now();
    while !all_are_served().await {
        assert!(started.elapsed() < PATIENCE, "both are there");
    }
    wire.set(Way::Cut);
    nodes[0].anonymous().get("/readyz").await.expect(503);
    let started = Instant::now();
    while !all_are_served().await {
        assert!(started.elapsed() < PATIENCE, "it is given work");
    }
    nodes[0].anonymous().get("/readyz").await.expect(503);
    assert_well(&mut nodes);
}

/// Where nodes listen, without the scheme.
fn addresses(nodes: &[Process]) -> Vec<String> {
    let of = |node: &Process| format!("127.0.0.1:{}", node.address().port().unwrap());
    nodes.iter().map(of).collect()
}

fn haproxy(port: u16, _: &Path, nodes: &[Process]) -> String {
    let server = |(n, address)| format!("  server node{n} {address}\n");
    let servers = addresses(nodes).iter().enumerate().map(server).collect::<Vec<_>>().concat();
    format!(
        "global\n  nbthread 1\n\
         defaults\n  mode http\n  option forwardfor\n  option redispatch 1\n  retries 3\n  \
         timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  timeout check 10s\n\
         frontend people\n  bind 127.0.0.1:{port}\n  default_backend nodes\n\
         backend nodes\n  balance roundrobin\n  option httpchk GET /readyz\n  \
         http-check expect status 200\n  default-server check inter 200ms fall 2 rise 1\n{servers}"
    )
}

/// nginx asks the next node for a GET, PUT or DELETE that the first one may have done. But a visit of
/// `/admin` is a GET that counts, and a password is changed once: so it must not.
fn nginx(port: u16, dir: &Path, nodes: &[Process]) -> String {
    let server = |address| format!("server {address} max_fails=1 fail_timeout=1s; ");
    let servers = addresses(nodes).iter().map(server).collect::<Vec<_>>().concat();
    let dir = dir.display();
    format!(
        "worker_processes 1; pid {dir}/pid; events {{ worker_connections 1024; }}\n\
         http {{\n access_log off;\n client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n \
         fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n \
         upstream nodes {{ {servers} keepalive 16; }}\n server {{\n  listen 127.0.0.1:{port};\n  \
         proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $http_host;\n  \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n  \
         location / {{ proxy_pass http://nodes; proxy_next_upstream off; }}\n }}\n}}\n"
    )
}
