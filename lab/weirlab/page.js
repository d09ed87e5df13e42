'use strict';
const tip = document.getElementById('tip');

function show(at, x, y) {
    const [first, ...rest] = at.dataset.tip.split('\n');
    const head = document.createElement('b');

    head.textContent = first;
    tip.replaceChildren(head, ...rest.map(function (line) {
        const row = document.createElement('span');

        for (const part of line.split('\t')) {
            const cell = document.createElement('em');
            cell.style.fontStyle = 'normal';
            cell.textContent = part;
            row.append(cell);
        }
        return row;
    }));
    tip.style.display = 'block';
    tip.style.left = Math.max(8, Math.min(x + 16, innerWidth - tip.offsetWidth - 8)) + 'px';
    tip.style.top = Math.max(8, Math.min(y + 16, innerHeight - tip.offsetHeight - 8)) + 'px';
}

document.addEventListener('pointermove', function (event) {
    const at = event.target.closest('[data-tip]');

    if (at)
        show(at, event.clientX, event.clientY);
    else
        tip.style.display = 'none';
});
document.addEventListener('focusin', function (event) {
    const at = event.target.closest('[data-tip]');

    if (at && at.matches(':focus-visible')) {
        const box = at.getBoundingClientRect();
        show(at, box.right, box.top);
    } else {
        tip.style.display = 'none';
    }
});
document.addEventListener('click', function (event) {
    const button = event.target.closest('.tabs button');

    if (!button)
        return;
    for (const other of button.parentElement.children) {
        const chosen = other === button;
        other.setAttribute('aria-selected', chosen);
        document.getElementById(other.dataset.for).hidden = !chosen;
    }
});
