//! The fast path's text in pieces. The head of each says what it expects and leaves in which registers.

/// `naked_asm!` with the offsets of fields, each by its name.
macro_rules! offset_asm {
    ($($line:expr),+ ; { $($type:ident: $($field:ident)+;)+ } $($rest:tt)*) => {
        core::arch::naked_asm!($($line,)+ $($($field = const core::mem::offset_of!($type, $field),)+)+ $($rest)*)
    };
}

/// From here on, to the next mark or the function's end, the text is of this phase to whoever reads a trace (`cargo xtask bench --phases`). A mark is the
/// address and eight letters in a section that no image has: it costs no instruction.
macro_rules! phase {
    (entry) => {
        phase!("entry   ")
    };
    (lookup) => {
        phase!("lookup  ")
    };
    (transfer) => {
        phase!("transfer")
    };
    (switch) => {
        phase!("switch  ")
    };
    (exit) => {
        phase!("exit    ")
    };
    ($letters:literal) => {
        concat!(".pushsection .marks,\"\",@progbits\n.quad 99f\n.ascii \"", $letters, "\"\n.popsection\n99:\n")
    };
}

/// Stores registers in the frame at `at`.
macro_rules! store {
    ($at:literal: $($register:ident)+) => {
        concat!($("mov [", $at, " + {", stringify!($register), "}], ", stringify!($register), "\n"),+)
    };
}

/// Loads registers from the frame at `at`.
macro_rules! load {
    ($at:literal: $($register:ident)+) => {
        concat!($("mov ", stringify!($register), ", [", $at, " + {", stringify!($register), "}]\n"),+)
    };
}

/// The instructions that only ring 0 has. The host's stand-ins do nothing, or what the test's harness can see.
#[cfg(target_os = "none")]
macro_rules! ring0 {
    (swapgs) => {
        "swapgs\n"
    };
    (load_root) => {
        "mov cr3, rcx\n"
    };
    (set_trap) => {
        "mov rcx, cr0\nor rcx, 8\nmov cr0, rcx\n"
    };
    (clear_trap) => {
        "clts\n"
    };
    (now) => {
        "rdtsc\n"
    };
    (leave) => {
        "swapgs\nsysretq\n"
    };
    (slow) => {
        "mov rsp, gs:[{stack}]\nxor ebp, ebp\ncall {slow}\nud2\n"
    };
    (native) => {
        concat!(
            "mov rdi, rsp
            mov rsp, gs:[{stack}]
            xor ebp, ebp
            call {native}
            ",
            phase!(exit),
            "test al, al
            jz 61f
            mov rbp, gs:[{current}]
            mov dword ptr [rip + {lock}], 0
            xor ebx, ebx
            xor r14d, r14d
            ",
            load!("rbp": rax rdi rsi rdx r8 r9 r10),
            exit!(),
            "61:
            call {resume}
            ud2
            "
        )
    };
    (resume) => {
        "mov rsp, gs:[{stack}]\nxor ebp, ebp\ncall {resume}\nud2\n"
    };
    (fault_address) => {
        "mov rdi, cr2\n"
    };
    (slow_fault) => {
        "mov rsp, gs:[{stack}]\nxor ebp, ebp\ncld\ncall {slow}\nud2\n"
    };
    (return) => {
        "swapgs\niretq\n"
    };
}
#[cfg(not(target_os = "none"))]
macro_rules! ring0 {
    (swapgs) => {
        ""
    };
    (load_root) => {
        "mov gs:[{loaded}], rcx\n"
    };
    (set_trap) => {
        ""
    };
    (clear_trap) => {
        ""
    };
    (now) => {
        "mov rax, gs:[{now}]\nmov rdx, rax\nshr rdx, 32\nmov eax, eax\n"
    };
    (leave) => {
        "jmp {left}\n"
    };
    (slow) => {
        "jmp {slow}\n"
    };
    (native) => {
        ring0!(slow)
    };
    (resume) => {
        "jmp {resume}\n"
    };
    (fault_address) => {
        "mov rdi, gs:[{address}]\n"
    };
    (slow_fault) => {
        "jmp {slow}\n"
    };
    (return) => {
        "jmp {returned}\n"
    };
}

/// Goes on at `slow` unless the endpoint `r14` is as it was in epoch `rbp`; 0 is none. Uses `rcx`.
macro_rules! check_port {
    ($slow:literal) => {
        concat!(
            phase!(lookup),
            "test r14, r14\njz ",
            $slow,
            "\nmov rcx, r14
            sub rcx, gs:[{direct_map}]
            shr rcx, 8
            add rcx, gs:[{infos}]
            cmp rbp, [rcx + {revoked_at}]
            jb ",
            $slow,
            "\n",
        )
    };
}

/// Goes on slowly unless the bases of thread `rbp` are in the processor. Uses `rcx`.
macro_rules! check_bases {
    () => {
        "mov rcx, [rbp + {fs_base}]
        cmp rcx, gs:[{loaded_fs}]
        jne 91f
        mov rcx, [rbp + {gs_base}]
        cmp rcx, gs:[{loaded_gs}]
        jne 91f
        "
    };
}

/// Whoever runs now has no FPU state in the processor.
macro_rules! set_fpu_trap {
    () => {
        concat!("cmp byte ptr gs:[{fpu_trap}], 0\njne 2f\n", ring0!(set_trap), "mov byte ptr gs:[{fpu_trap}], 1\n2:\n")
    };
}

/// Thread `rbp` runs now, and may have FPU state in the processor.
macro_rules! settle_fpu_trap {
    () => {
        concat!("cmp gs:[{fpu_owner}], rbp\njne 2f\n", ring0!(clear_trap), "mov byte ptr gs:[{fpu_trap}], 0\n2:\n")
    };
}

/// `r11` is the label of the message that the current thread sends, if the fast path can carry it.
macro_rules! take_label {
    () => {
        "mov r11, rax
        shr r11, 32
        cmp r11d, {inline}
        ja 91f
        "
    };
}

/// Finds the object that index `ecx` of table `r14` names, of the kind and with the rights in `wanted`: `r14` is it, `rcx` its slot. A scratch register
/// is `rbx` or another.
macro_rules! look_up {
    ($wanted:literal) => {
        look_up!($wanted, "ebx", "rbx")
    };
    ($wanted:literal, $half:literal, $scratch:literal) => {
        concat!(
            phase!(lookup),
            "shl rcx, 5\n",
            "add rcx, r14\n",
            "mov ",
            $half,
            ", [rcx + {header} + {rights}]\n",
            "and ",
            $half,
            ", ",
            $wanted,
            " | 0xff00\n",
            "cmp ",
            $half,
            ", ",
            $wanted,
            "\n",
            "jne 91f\n",
            "mov ",
            $half,
            ", [rcx + {header} + {first}]\n",
            "shl ",
            $scratch,
            ", 4\n",
            "add ",
            $scratch,
            ", gs:[{infos}]\n",
            "mov ",
            $scratch,
            ", [",
            $scratch,
            " + {revoked_at}]\n",
            "cmp [rcx + {header} + {epoch}], ",
            $scratch,
            "\n",
            "jb 91f\n",
            "mov r14, [rcx + {header} + {object}]\n",
        )
    };
}

/// The receiver of this processor that takes a call at endpoint `r14`: `rbp`; its empty reply slot: `rbx`. Nobody outranks the
/// caller, so nobody outranks a receiver that is as important; or another processor has queued somebody who does, and its interrupt comes at the exit.
/// `r14` is where the list of receivers is afterwards.
macro_rules! find_receiver {
    ($slow:literal) => {
        concat!(
            "cmp dword ptr [r14 + {endpoint_state}], 0\n",
            "jne ",
            $slow,
            "\nadd r14, gs:[{list}]
            mov rbp, [r14 + {receivers}]
            test rbp, rbp
            jz ",
            $slow,
            "\ncmp byte ptr [rbp + {odd}], 0
            jne ",
            $slow,
            "\nmov bl, [rbp + {priority}]
            cmp bl, [rsp + {priority}]
            jb ",
            $slow,
            "\nmov rbx, [rbp + {reply_at}]
            cmp byte ptr [rbx + {kind}], 0
            jne ",
            $slow,
            "\n",
        )
    };
}

/// The point of no return: the receiver leaves its list, the caller gets a ticket, and Reply, table and both threads are linked. Keeps `rcx`.
macro_rules! deliver {
    ($awaits:literal) => {
        concat!(
            phase!(transfer),
            "mov rax, [rbp + {next}]
            mov [r14 + {receivers}], rax
            test rax, rax
            jz 2f
            mov qword ptr [rax + {previous}], 0
            2:
            mov byte ptr [rbp + {state}], {runnable}
            mov rax, gs:[{last_ticket}]
            inc rax
            mov gs:[{last_ticket}], rax
            mov [rsp + {ticket}], rax
            mov [rbx + {epoch}], rax
            mov [rbx + {object}], rsp
            mov qword ptr [rbx + {rights}], {reply_header}
            mov [rsp + {reply}], rbx
            mov rax, [rbp + {table}]
            mov [rsp + {reply_table}], rax
            mov r14, [rax + {callers}]
            mov [rsp + {instance_next}], r14
            mov [rax + {callers}], rsp
            test r14, r14
            jz 2f
            mov [r14 + {instance_previous}], rsp
            2:
            ",
            $awaits,
            "
            mov byte ptr [rsp + {lease_count}], 0
            mov [rsp + {served_by}], rbp
            mov [rbp + {serving}], rsp
            mov [rbp + {received}], r15
            "
        )
    };
}

/// Takes the lock, or goes to where it is waited for. Between that and here only the registers count that C preserves.
macro_rules! lock {
    ($wait:literal) => {
        concat!("lock bts dword ptr [rip + {lock}], 0\njc ", $wait, "\n")
    };
}

/// Waits for the lock on the kernel's stack. Keeps `rbx` and `r12` to `r15`, `rsp`, which is the current thread, and `rbp`, which is in its frame and
/// must not look like a frame of the kernel's meanwhile.
macro_rules! wait {
    () => {
        "cld
        mov rsp, gs:[{stack}]
        xor ebp, ebp
        call {wait}
        mov rsp, gs:[{current}]
        mov rbp, [rsp + {rbp}]
        "
    };
}

/// `rax` is the time and `rcx` what has passed since the last charge. Uses `r14` to keep `rdx`.
macro_rules! charge {
    () => {
        concat!(
            phase!(switch),
            "mov r14, rdx\n",
            ring0!(now),
            "shl rdx, 32
            or rax, rdx
            mov rdx, r14
            mov rcx, rax
            sub rcx, gs:[{charged_at}]
            mov gs:[{charged_at}], rax
            mov r14, gs:[{payer}]
            "
        )
    };
}

/// The time so far is the current thread's own if it pays itself, else it was served. `rax` is now.
macro_rules! charge_current {
    () => {
        concat!(
            charge!(),
            "xor ebx, ebx
            cmp r14, rsp
            setne bl
            add [r14 + rbx * 8 + {own_ticks}], rcx
            "
        )
    };
}

/// The first thread in the queue of level `ecx` is `rbp`; it must be one that works for nobody, left by SYSCALL and goes on by SYSRET.
macro_rules! find_next {
    () => {
        "mov rbp, gs:[rcx * 8 + {heads}]
        cmp byte ptr [rbp + {odd}], 0
        jne 91f
        cmp qword ptr [rbp + {serving}], 0
        jne 91f
        mov rbx, [rbp + {rip}]
        cmp rbx, [rbp + {rcx}]
        jne 91f
        mov rbx, [rbp + {rflags}]
        cmp rbx, [rbp + {r11}]
        jne 91f
        test ebx, {steps}
        jnz 91f
        "
    };
}

/// The current thread joins the end of the queue of level `ecx`, in which somebody is.
macro_rules! queue_behind {
    ($thread:literal, $empty:literal) => {
        concat!(
            "mov rbx, gs:[rcx * 8 + {tails}]
            mov [",
            $thread,
            " + {previous}], rbx
            mov qword ptr [",
            $thread,
            " + {next}], 0
            mov gs:[rcx * 8 + {tails}], ",
            $thread,
            "\n",
            $empty,
            "mov [rbx + {next}], ",
            $thread,
            "\n",
        )
    };
}

/// Thread `rbp` leaves the head of its queue, whose level is `ecx` afterwards.
macro_rules! unqueue {
    () => {
        "movzx ecx, byte ptr [rbp + {priority}]
        mov rbx, [rbp + {next}]
        mov gs:[rcx * 8 + {heads}], rbx
        test rbx, rbx
        jnz 2f
        mov gs:[rcx * 8 + {tails}], rbx
        mov ebx, gs:[{occupied}]
        btr ebx, ecx
        mov gs:[{occupied}], ebx
        jmp 3f
        2:
        mov qword ptr [rbx + {previous}], 0
        3:
        "
    };
}

/// From time `rax` on thread `rbp` pays: with what it has left of its slice, or with a fresh one, whose end `rax` is then.
macro_rules! start_slice {
    () => {
        "mov rbx, [rbp + {slice_left}]
        mov qword ptr [rbp + {slice_left}], 0
        test rbx, rbx
        cmovz rbx, [rbp + {slice}]
        add rax, rbx
        sbb rbx, rbx
        or rax, rbx
        mov gs:[{slice_end}], rax
        mov gs:[{payer}], rbp
        mov byte ptr gs:[{expired}], 0
        "
    };
}

/// The time so far is the caller's own if it pays itself, else it was served; the receiver's begins.
macro_rules! charge_call {
    () => {
        concat!(
            charge!(),
            "mov [rbp + {received_at}], rax
            xor eax, eax
            cmp r14, rsp
            setne al
            add [r14 + rax * 8 + {own_ticks}], rcx
            "
        )
    };
}

/// Thread `rbp` becomes the current one, in its space.
macro_rules! switch {
    () => {
        concat!(
            phase!(switch),
            "mov gs:[{current}], rbp
            mov rcx, [rbp + {space}]
            mov ecx, [rcx + {space_root}]
            cmp ecx, gs:[{root}]
            je 2f
            mov gs:[{root}], ecx
            inc qword ptr gs:[{roots_loaded}]
            shl rcx, 12
            cmovz rcx, gs:[{kernel_root}]
            ",
            ring0!(load_root),
            "2:\n",
        )
    };
}

/// Out of ring 0: the rest of what thread `rbp` had.
macro_rules! exit {
    () => {
        concat!("mov rcx, [rbp + {rip}]\nmov r11, [rbp + {rflags}]\n", load!("rbp": rsp rbp), ring0!(leave))
    };
}

/// Back to the current thread itself, whose `rbp` is still in its register: what the ABI gives up and has the kernel's values is cleared.
macro_rules! exit_same {
    () => {
        concat!(phase!(exit), "xor r14d, r14d\nmov rcx, [rsp + {rip}]\nmov r11, [rsp + {rflags}]\n", load!("rsp": rsp), ring0!(leave))
    };
}

/// To thread `rbp` in ring 3 with the registers in its frame, of which `rcx` and `r11` are what SYSRET makes of them.
macro_rules! leave_all {
    () => {
        concat!(
            phase!(exit),
            "mov dword ptr [rip + {lock}], 0\n",
            load!("rbp": rax rbx rdx rsi rdi r8 r9 r10 r12 r13 r14 r15),
            exit!(),
        )
    };
}

/// To thread `rbp` in ring 3 with all registers in its frame.
macro_rules! return_all {
    () => {
        concat!(
            phase!(exit),
            "mov dword ptr [rip + {lock}], 0
            mov rsp, gs:[{stack}]
            push {user_data}
            push qword ptr [rbp + {rsp}]
            push qword ptr [rbp + {rflags}]
            push {user_code}
            push qword ptr [rbp + {rip}]
            ",
            load!("rbp": rax rbx rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15 rbp),
            ring0!(return),
        )
    };
}

/// To thread `rbp` in ring 3, with a message whose label is `r11`. What the ABI does not preserve was set before.
macro_rules! leave {
    () => {
        concat!(
            phase!(exit),
            "mov dword ptr [rip + {lock}], 0
            mov rax, r11
            shl rax, 32
            ",
            exit!(),
        )
    };
}

/// Behind the point of no return: the caller, thread `rbp`, leaves its server's list, the Reply at `rbx` goes, and the server waits at endpoint
/// `r14`, first in line. Its time was served to the payer.
macro_rules! answer {
    ($answered:literal) => {
        concat!(
            phase!(transfer),
            "mov qword ptr [rbx + {rights}], 0
            mov rcx, [rbp + {instance_next}]
            mov rax, [rsp + {table}]
            mov [rax + {callers}], rcx
            test rcx, rcx
            jz 2f
            mov qword ptr [rcx + {instance_previous}], 0
            2:
            mov qword ptr [rbp + {ticket}], 0
            mov qword ptr [rbp + {served_by}], 0
            mov qword ptr [rsp + {serving}], 0
            mov word ptr [rbp + {state}], ",
            $answered,
            "
            mov [rsp + {endpoint}], r14
            add r14, gs:[{list}]
            mov rax, [r14 + {receivers}]
            mov [rsp + {next}], rax
            test rax, rax
            jz 2f
            mov [rax + {previous}], rsp
            2:
            mov [r14 + {receivers}], rsp
            mov byte ptr [rsp + {state}], {receiving}
            ",
            charge!(),
            "add [r14 + {served_ticks}], rcx
            "
        )
    };
}

#[cfg(target_os = "none")]
pub(crate) use {load, offset_asm, phase, store};
