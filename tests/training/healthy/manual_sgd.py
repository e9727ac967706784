"""Plain tensors, p.grad = None and p.data += -lr * p.grad: a network of three characters of context."""
import torch
import torch.nn.functional as F

words = "emma olivia ava isabella sophia mia amelia harper evelyn abigail emily ella avery sofia camila aria scarlett".split()
chars = sorted(set("".join(words)))
stoi = {s: i + 1 for i, s in enumerate(chars)}
stoi["."] = 0
X, Y = [], []
for w in words:
    context = [0] * 3
    for ch in w + ".":
        X.append(context)
        Y.append(stoi[ch])
        context = context[1:] + [stoi[ch]]
X, Y = torch.tensor(X), torch.tensor(Y)
torch.manual_seed(0)
C = torch.randn(len(stoi), 8)
W1, b1 = torch.randn(24, 32) * 0.2, torch.randn(32) * 0.01
W2, b2 = torch.randn(32, len(stoi)) * 0.01, torch.zeros(len(stoi))
parameters = [C, W1, b1, W2, b2]
for p in parameters:
    p.requires_grad = True
for i in range(12):
    ix = torch.randint(0, X.shape[0], (24,))
    h = torch.tanh(C[X[ix]].view(-1, 24) @ W1 + b1)
    loss = F.cross_entropy(h @ W2 + b2, Y[ix])
    for p in parameters:
        p.grad = None
    loss.backward()
    lr = 0.1 if i < 8 else 0.01
    for p in parameters:
        p.data += -lr * p.grad
    print(i, loss.item())
