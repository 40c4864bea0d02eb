//! What execution costs in the VM: `cargo run --release -p cairn-stf --example costs [FILTER]`.
//!
//! Each pattern is a contract that repeats one operation until its gas is used up. Two batches that differ only in that gas give the slope: guest cycles and
//! heap bytes per unit of gas. The tables in `stf::work` are rounded up from what this prints.

#[path = "../tests/common/mod.rs"]
mod common;

use alloy_consensus::TxEip1559;
use alloy_primitives::{TxKind, U256, hex};
use cairn_vm::{Input, Machine, NoTrace, PAGE_WORDS, ProgramImage};
use common::{CHAIN_ID, Chain};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Repeats `body` behind a prologue that copies the calldata to memory from 0 on.
fn contract(body: &[u8]) -> Vec<u8> {
    // calldatacopy(0, 0, calldatasize); loop:
    let mut code = hex!("365f5f375b").to_vec();
    let times = (4_000 / body.len()).clamp(1, 2_000);
    for _ in 0..times {
        code.extend_from_slice(body);
    }
    code.extend(hex!("600456"));
    code
}

fn init(code: &[u8]) -> Vec<u8> {
    // PUSH2 len DUP1 PUSH1 10 PUSH0 CODECOPY PUSH0 RETURN
    let mut out = vec![0x61];
    out.extend((code.len() as u16).to_be_bytes());
    out.extend(hex!("80600a5f395ff3"));
    out.extend_from_slice(code);
    out
}

/// `staticcall(gas, address, 0, input, 0, 0)`, output ignored.
fn call(address: u16, input: u32) -> Vec<u8> {
    let mut out = hex!("5f5f62").to_vec();
    out.extend(&input.to_be_bytes()[1..]);
    out.extend(hex!("5f61"));
    out.extend(address.to_be_bytes());
    out.extend(hex!("5afa50"));
    out
}

struct Cost {
    cycles: u64,
    heap: u64,
}

fn run(guest: &ProgramImage, code: &[u8], data: &[u8], gas: u64) -> Outcome<(Cost, u64)> {
    let mut chain = Chain::new(2);
    let target = chain.signers[0].address().create(0);
    let deploy = chain.tx(0, TxKind::Create, 0, init(code));
    let out = chain.block(vec![deploy]);
    if !out.results[0].success() {
        return Err(format!("the contract is not deployed: {:?}", out.results[0].failure).into());
    }
    chain.seal();
    let nonce = chain.nonce(1);
    let tx = chain.sign(
        1,
        TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: gas,
            max_fee_per_gas: 1_000,
            max_priority_fee_per_gas: 7,
            to: TxKind::Call(target),
            value: U256::ZERO,
            access_list: Default::default(),
            input: data.to_vec().into(),
        },
    );
    let used = chain.block(vec![tx]).results[0].gas_used;
    let witness = chain.seal().witness;
    let mut machine = Machine::new(guest, Input::from_bytes(&witness)?);
    let stop = machine.run(&mut NoTrace, u64::MAX)?;
    if stop != cairn_vm::Stop::Halted(0) {
        return Err(format!("the guest ended with {stop:?}").into());
    }
    let cycles = machine.cycle();
    let pages = machine.snapshot().pages;
    let top = pages.keys().next_back().copied().unwrap_or_default();
    Ok((Cost { cycles, heap: (u64::from(top) + 1) * 4 * PAGE_WORDS as u64 }, used))
}

fn main() -> Outcome<()> {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/elf/batch.elf.zst");
    let guest = ProgramImage::from_elf(&zstd::decode_all(&std::fs::read(path)?[..])?)?;
    println!("{:<28} {:>12} {:>12} {:>10}", "pattern", "gas", "cycles/gas", "bytes/gas");
    for (name, body, data, gas) in patterns() {
        if !name.contains(&filter) {
            continue;
        }
        let code = contract(&body);
        let (a, gas_a) = run(&guest, &code, &data, gas / 2)?;
        let (b, gas_b) = run(&guest, &code, &data, gas)?;
        let by = (gas_b - gas_a) as f64;
        println!(
            "{name:<28} {gas_b:>12} {:>12.1} {:>10.2}",
            (b.cycles - a.cycles) as f64 / by,
            b.heap.saturating_sub(a.heap) as f64 / by,
        );
    }
    Ok(())
}

type Pattern = (String, Vec<u8>, Vec<u8>, u64);

fn patterns() -> Vec<Pattern> {
    let mut all = opcodes();
    all.extend(precompiles());
    all
}

/// A word with its upper half set, so that 256-bit arithmetic takes its longest way.
const WIDE: &str = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff43";

fn opcodes() -> Vec<Pattern> {
    let wide = WIDE;
    let odd = "7f8000000000000000000000000000000000000000000000000000000000012345";
    let list = [
        ("jumpdest", "5b".repeat(100)),
        ("push1 pop", "600150".repeat(100)),
        ("push32 pop", format!("{wide}50").repeat(50)),
        ("pc pop", "5850".repeat(100)),
        ("dup swap pop", "5f5f80905050".to_owned()),
        ("add", "6001600101 50".replace(' ', "")),
        ("mul wide", format!("{wide}{wide}0250")),
        ("div wide", format!("{odd}{wide}0450")),
        ("sdiv wide", format!("{odd}{wide}0550")),
        ("mod wide", format!("{odd}{wide}0650")),
        ("smod wide", format!("{odd}{wide}0750")),
        ("addmod wide", format!("{odd}{wide}{wide}0850")),
        ("mulmod wide", format!("{odd}{wide}{wide}0950")),
        ("exp wide", format!("{wide}{odd}0a50")),
        ("signextend", "600160010b50".into()),
        ("shl sar", format!("{wide}60071d50{wide}60071b50")),
        ("byte", format!("{wide}60071a50")),
        ("clz", format!("{wide}1e50")),
        ("keccak 0", "5f5f2050".into()),
        ("keccak 32", "60205f2050".into()),
        ("keccak 8192", "6120005f2050".into()),
        ("mload", "60205150".into()),
        ("mstore", "60015f52".into()),
        ("mstore8", "60015f53".into()),
        ("mcopy 32", "60205f60405e".into()),
        ("mcopy 8192", "6120005f5f5e".into()),
        ("calldatacopy 0", "5f5f5f37".into()),
        ("codecopy 4096", "6110005f5f39".into()),
        ("calldataload", "5f3550".into()),
        ("address", "3050".into()),
        ("selfbalance", "4750".into()),
        ("gas", "5a50".into()),
        ("balance warm", "305f50503150".replace("5f5050", "")),
        ("extcodesize warm", "303b50".into()),
        ("extcodehash warm", "303f50".into()),
        ("extcodecopy 4096", "6110005f5f303c".into()),
        ("sload warm", "5f5450".into()),
        ("sstore warm", "5a5f55".into()),
        ("tload", "5f5c50".into()),
        ("tstore", "5a5f5d".into()),
        ("tstore fresh", "5a5a5d".into()),
        ("log0", "5f5fa0".into()),
        ("log4", "5f5f5f5f5f5fa4".into()),
        ("log0 8192", "6120005fa0".into()),
        ("blockhash", "6001430340 50".replace(' ', "")),
        ("call empty account", "5f5f5f5f5f61aaaa5af150".into()),
        ("staticcall empty", "5f5f5f5f61aaaa5afa50".into()),
        (
            "staticcall revert code",
            "5f5f5f5f73a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a25afa50".into(),
        ),
        ("create empty", "5f5f5ff050".into()),
        ("create revert 49152", "61c0005f5ff050".into()),
        ("balance cold", "5a3150".into()),
        ("sload cold", "5a5450".into()),
        ("recurse", "5f5f5f5f5f305af150".into()),
    ];
    let mut out: Vec<Pattern> = Vec::new();
    for (name, body) in list {
        let gas = match name {
            n if n.contains("cold") || n.contains("create") => 1_500_000,
            _ => 600_000,
        };
        let data = if name.contains("create revert") { vec![0x5b; 49_152] } else { vec![] };
        let gas = if data.is_empty() { gas } else { 16_000_000 };
        out.push((name.into(), hex::decode(body).unwrap_or_default(), data, gas));
    }
    out
}

fn precompiles() -> Vec<Pattern> {
    let mut out: Vec<Pattern> = Vec::new();
    let mut add = |name: &str, address: u16, input: Vec<u8>, gas: u64| {
        let body = call(address, input.len() as u32);
        out.push((format!("pre {name}"), body, input, gas));
    };
    let recover = hex!(
        "456e9aea5e197a1f1af7a3e85a3207d8cbae6b4fa7a7bd7e2ac5b4cd4f8fa2b9000000000000000000000000000000000000000000000000000000000000001c9242685bf161793cc25603c231bc2f568eb630ea16aa137d2664ac80388256084f8ae3bd7535248d0bd448298cc2e2071e56992d0774dc340c368ae950852ada"
    );
    add("ecrecover", 1, recover.to_vec(), 400_000);
    add("sha256 0", 2, vec![], 400_000);
    add("sha256 8192", 2, vec![7; 8192], 1_500_000);
    add("ripemd160 0", 3, vec![], 400_000);
    add("ripemd160 8192", 3, vec![7; 8192], 2_000_000);
    add("identity 0", 4, vec![], 400_000);
    add("identity 8192", 4, vec![7; 8192], 2_000_000);
    add("identity 65536", 4, vec![7; 65536], 8_000_000);
    for (base, exp, modulus) in [
        (0, 0, 0),
        (1, 1, 1),
        (32, 32, 32),
        (32, 1024, 32),
        (64, 8, 64),
        (256, 3, 256),
        (256, 256, 256),
        (1024, 1, 1024),
        (1024, 1024, 1024),
    ] {
        for (parity, last) in [("odd", 0xffu8), ("even", 0xfe)] {
            let mut input = Vec::new();
            for n in [base, exp, modulus] {
                input.extend(U256::from(n).to_be_bytes::<32>());
            }
            input.extend(vec![0xff; base + exp]);
            let mut m = vec![0xfb; modulus];
            if let Some(l) = m.last_mut() {
                *l = last;
            }
            input.extend(m);
            add(&format!("modexp {base} {exp} {modulus} {parity}"), 5, input, 3_000_000);
        }
    }
    let g1 = "0000000000000000000000000000000000000000000000000000000000000001 0000000000000000000000000000000000000000000000000000000000000002".replace(' ', "");
    let g2 = "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c21800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa";
    let g1b = hex::decode(&g1).unwrap_or_default();
    let g2b = hex::decode(g2).unwrap_or_default();
    add("bn add", 6, [&g1b[..], &g1b].concat(), 200_000);
    let scalar = [0xffu8; 32];
    add("bn mul", 7, [&g1b[..], &scalar].concat(), 300_000);
    let pair = [&g1b[..], &g2b].concat();
    add("bn pairing 0", 8, vec![], 1_000_000);
    add("bn pairing 1", 8, pair.clone(), 1_000_000);
    add("bn pairing 4", 8, pair.repeat(4), 2_000_000);
    add("bn pairing junk", 8, vec![1; 192], 1_000_000);
    let mut blake = vec![0u8; 213];
    blake[2] = 0x10;
    add("blake2f 4096 rounds", 9, blake.clone(), 200_000);
    blake[2] = 0;
    add("blake2f 0 rounds", 9, blake, 200_000);
    add("p256 junk", 0x100, vec![1; 160], 200_000);
    let p256 = hex!(
        "bb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca6050232ba3a8be6b94d5ec80a6d9d1190a436effe50d85a1eee859b8cc6af9bd5c2e184cd60b855d442f5b3c7b11eb6c4e0ae7525fe710fab9aa7c77a67f79e6fadd762927b10512bae3eddcfe467828128bad2903269919f7086069c8c4df6c732838c7787964eaac00e5921fb1498a60f4606766b3d9685001558d1a974e7341513e"
    );
    add("p256", 0x100, p256.to_vec(), 200_000);
    bls(&mut add);
    out
}

fn bls(add: &mut impl FnMut(&str, u16, Vec<u8>, u64)) {
    // The generators, as EIP-2537 encodes them.
    let fp = |h: &str| [&[0u8; 16][..], &hex::decode(h).unwrap_or_default()].concat();
    let x = fp(
        "17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb",
    );
    let y = fp(
        "08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1",
    );
    let g1 = [x, y].concat();
    let g2 = [
        fp("024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"),
        fp("13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"),
        fp("0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"),
        fp("0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be"),
    ]
    .concat();
    let scalar = vec![0xff; 32];
    let one = [g1.clone(), scalar.clone()].concat();
    let two = [g2.clone(), scalar].concat();
    add("bls g1 add", 0x0b, g1.repeat(2), 100_000);
    add("bls g1 msm 1", 0x0c, one.clone(), 300_000);
    add("bls g1 msm 64", 0x0c, one.repeat(64), 2_000_000);
    add("bls g2 add", 0x0d, g2.repeat(2), 100_000);
    add("bls g2 msm 1", 0x0e, two.clone(), 300_000);
    add("bls g2 msm 64", 0x0e, two.repeat(64), 3_000_000);
    add("bls pairing 1", 0x0f, [g1.clone(), g2.clone()].concat(), 600_000);
    add("bls pairing 8", 0x0f, [g1, g2].concat().repeat(8), 2_000_000);
    add("bls map fp", 0x10, fp(&"08".repeat(48)), 100_000);
    add("bls map fp2", 0x11, fp(&"08".repeat(48)).repeat(2), 200_000);
    let kzg = hex!(
        "01e798154708fe7789429634053cbf9f99b619f9f084048927333fce637f549b564c0a11a0f704f4fc3e8acfe0f8245f0ad1347b378fbf96e206da11a5d3630624d25032e67a7e6a4910df5834b8fe70e6bcfeeac0352434196bdf4b2485d5a18f59a8d2a1a625a17f3fea0fe5eb8c896db3764f3185481bc22f91b4aaffcca25f26936857bc3a7c2539ea8ec3a952b7873033e038326e87ed3e1276fd140253fa08e9fc25fb2d9a98527fc22a2c9612fbeafdad446cbc7bcdbdcd780af2c16a"
    );
    add("kzg", 0x0a, kzg.to_vec(), 400_000);
}
