"""A small file system for a broker's data: an ext4 image on a loop device, or, where that is not
to be had, a tmpfs (which has room and an end of it, but no read-only devices and no attributes)."""
import os
import shutil
import subprocess
import time

from rig import Failed, Skipped

# Room for five lives: each takes two log segments of 128 MiB, and keeps them until its successor has
# uploaded. The image is sparse: it takes what is written.
IMAGE_BYTES = 1280 << 20


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class SmallDisk:
    def __init__(self, mount, bytes_max=IMAGE_BYTES):
        self.mount = mount
        self.image = mount + ".img"
        self.ballast = os.path.join(mount, ".ballast")
        self.kind = "ext4 on a loop device"
        if os.geteuid() != 0:
            raise Skipped("mounting needs root")
        os.makedirs(mount)
        try:
            with open(self.image, "wb") as image:
                image.truncate(bytes_max)
            run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1", self.image)
            run("mount", "-o", "loop", self.image, mount)
        except (Failed, FileNotFoundError) as error:
            self.kind = f"tmpfs, because {error}"
            try:
                run("mount", "-t", "tmpfs", "-o", f"size={bytes_max}", "tmpfs", mount)
            except (Failed, FileNotFoundError) as other:
                raise Skipped(f"no file system can be mounted: {other}") from None
        self.mounted = True

    def need_ext4(self):
        if not self.kind.startswith("ext4"):
            raise Skipped(f"needs ext4 on a loop device, but there is {self.kind}")

    def available(self):
        state = os.statvfs(self.mount)
        return state.f_bavail * state.f_frsize

    def fill(self, leave=0):
        """Takes all room but `leave` bytes."""
        with open(self.ballast, "ab") as file:
            piece = max(4096, self.available() - leave)
            while piece >= 4096:
                room = self.available() - leave
                if room < 4096:
                    return
                piece = min(piece, room // 4096 * 4096)
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, piece)
                except OSError:
                    piece //= 2

    def free(self):
        if os.path.exists(self.ballast):
            os.remove(self.ballast)

    def unmount(self):
        end = time.monotonic() + 10
        while self.mounted:
            try:
                run("umount", self.mount)
                self.mounted = False
            except Failed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def mount_again(self):
        """After a device failed: what its journal holds is brought back, as by a reboot."""
        self.unmount()
        subprocess.run(["e2fsck", "-fy", self.image], capture_output=True, check=False)
        run("mount", "-o", "loop", self.image, self.mount)
        self.mounted = True

    def close(self):
        subprocess.run(["chattr", "-R", "-i", self.mount], capture_output=True, check=False)
        self.unmount()
        shutil.rmtree(self.mount, ignore_errors=True)
        if os.path.exists(self.image):
            os.remove(self.image)
